//go:build race

package flate

// Under the race detector everything is slow, and sync.Pool drops items on
// purpose.
const encodeRaced = true
