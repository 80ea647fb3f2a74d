// Package buffer has pooled buffers for what a connection reads and writes, so that an
// idle one owns none.
package buffer

import (
	"math/bits"
	"sync"
)

// Buffer is a pooled byte slice. The caller of Get owns it until Put.
type Buffer struct{ B []byte }

const (
	ReadSize = 16 << 10 // of a read where nothing else chooses the size
	MinRead  = 4 << 10  // of one read; the size adapts to what a peer sends
	MaxRead  = 64 << 10

	minBits = 9  // 512 B
	maxBits = 20 // 1 MiB: a larger one is left to the garbage collector
)

var pools [maxBits - minBits + 1]sync.Pool

// Get returns an empty buffer with room for n bytes.
func Get(n int) *Buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), minBits) - minBits
	if class >= len(pools) {
		return &Buffer{B: make([]byte, 0, n)}
	}
	if v := pools[class].Get(); v != nil {
		return v.(*Buffer)
	}
	return &Buffer{B: make([]byte, 0, 1<<(class+minBits))}
}

// Len is the number of bytes in b, which may be nil.
func (b *Buffer) Len() int {
	if b == nil {
		return 0
	}
	return len(b.B)
}

// WithRoom returns b with room for n more bytes, or a larger buffer with the same
// bytes.
func (b *Buffer) WithRoom(n int) *Buffer {
	if b == nil {
		return Get(n)
	}
	if cap(b.B)-len(b.B) >= n {
		return b
	}
	larger := Get(max(len(b.B)+n, 2*cap(b.B)))
	larger.B = append(larger.B, b.B...)
	Put(b)
	return larger
}

// OrLarger returns b, or another buffer in its place that has room for n bytes
// in all.
func (b *Buffer) OrLarger(n int) *Buffer {
	if b != nil && cap(b.B) >= n {
		return b
	}
	Put(b)
	return Get(n)
}

// Put gives b back. Buffers that no pool fits, such as nil or one that
// has grown, are dropped.
func Put(b *Buffer) {
	if b == nil {
		return
	}
	size := cap(b.B)
	class := bits.Len(uint(size)) - 1 - minBits
	if class < 0 || class >= len(pools) || size&(size-1) != 0 {
		return
	}
	b.B = b.B[:0]
	pools[class].Put(b)
}
