package wstest

import (
	"bytes"
	"encoding/binary"
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

// Nth is a message of the given size that can be told from others.
func Nth(i, size int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(i)), bytes.Repeat([]byte{byte(i)}, size-4)...)
}

// IsNth reports whether p is Nth(i, len(p)).
func IsNth(p []byte, i int) bool {
	return len(p) >= 4 && bytes.Equal(p, Nth(i, len(p)))
}
