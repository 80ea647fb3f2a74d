//go:build !(amd64 || arm64) || purego

package utf8

// bulk returns the state that p leads to from s.
func bulk(s state, p []byte) state { return generic(s, p) }
