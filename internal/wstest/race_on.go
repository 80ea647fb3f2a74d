//go:build race

package wstest

// Race reports whether the race detector is on.
const Race = true
