package wstest

import (
	"bytes"
	"math/rand/v2"
	"runtime"
)

// HeapAfter runs f and returns by how many bytes the live heap has grown.
func HeapAfter(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// Noise returns n bytes that do not compress, always the same for a seed.
func Noise(n int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return p
}

// Pattern returns n bytes that compress well.
func Pattern(n int) []byte {
	return bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz0123456789 "), n/37+1)[:n]
}

// Second returns the error of a call with two results.
func Second[A any](_ A, err error) error { return err }

// Third returns the error of a call with three results.
func Third[A, B any](_ A, _ B, err error) error { return err }
