package websocket

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// buffer is a pooled byte slice. Whoever got it owns it until putBuffer.
type buffer struct {
	b []byte
	// holders is 2 once the buffer has a second owner, who looks at a part
	// of it. Each of them calls putBuffer; it is 1 when one has, and 0 if
	// there has been but one.
	holders atomic.Int32
}

// share gives b, which has one owner, a second one.
func (b *buffer) share() { b.holders.Store(2) }

func (b *buffer) shared() bool { return b.holders.Load() == 2 }

const (
	readBufferSize = 16 << 10

	minBufferBits = 9  // 512 B
	maxBufferBits = 20 // 1 MiB: what is larger is left to the garbage collector
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

// putBuffer gives b back. Buffers that no pool fits, such as nil or one that
// has grown, are dropped.
func putBuffer(b *buffer) {
	if b == nil || b.holders.Load() > 0 && b.holders.Add(-1) > 0 {
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
