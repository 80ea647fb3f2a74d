//go:build !purego

package utf8

const hasVector = true // NEON is part of every arm64

// follows reports whether each byte of p but the first three, which it does
// not judge, may follow the three before it. p has at least bulkMin bytes.
//
//go:noescape
func follows(p []byte) bool
