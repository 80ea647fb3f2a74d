package websocket

import (
	"math/bits"
	"sync"
)

// buffer is a pooled byte slice. The caller of getBuffer owns it until putBuffer.
type buffer struct{ b []byte }

const (
	readBufferSize = 16 << 10
	minReadSize    = 4 << 10 // of one read; the size adapts to what a peer sends
	maxReadSize    = 64 << 10

	minBufferBits = 9  // 512 B
	maxBufferBits = 20 // 1 MiB: a larger one is left to the garbage collector
)

var bufferPools [maxBufferBits - minBufferBits + 1]sync.Pool

// getBuffer returns an empty buffer with room for n bytes.
func getBuffer(n int) *buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), minBufferBits) - minBufferBits
	if class >= len(bufferPools) {
		return &buffer{b: make([]byte, 0, n)}
	}
	if v := bufferPools[class].Get(); v != nil {
		return v.(*buffer)
	}
	return &buffer{b: make([]byte, 0, 1<<(class+minBufferBits))}
}

// len is the number of bytes in b, which may be nil.
func (b *buffer) len() int {
	if b == nil {
		return 0
	}
	return len(b.b)
}

// withRoom returns b with room for n more bytes, or a larger buffer with the same
// bytes.
func (b *buffer) withRoom(n int) *buffer {
	if b == nil {
		return getBuffer(n)
	}
	if cap(b.b)-len(b.b) >= n {
		return b
	}
	larger := getBuffer(max(len(b.b)+n, 2*cap(b.b)))
	larger.b = append(larger.b, b.b...)
	putBuffer(b)
	return larger
}

// orLarger returns b, or another buffer in its place that has room for n bytes
// in all.
func (b *buffer) orLarger(n int) *buffer {
	if b != nil && cap(b.b) >= n {
		return b
	}
	putBuffer(b)
	return getBuffer(n)
}

// putBuffer gives b back. Buffers that no pool fits, such as nil or one that
// has grown, are dropped.
func putBuffer(b *buffer) {
	if b == nil {
		return
	}
	size := cap(b.b)
	class := bits.Len(uint(size)) - 1 - minBufferBits
	if class < 0 || class >= len(bufferPools) || size&(size-1) != 0 {
		return
	}
	b.b = b.b[:0]
	bufferPools[class].Put(b)
}
