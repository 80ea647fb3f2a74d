package flate

import (
	"math/bits"
	"sync"
)

// inflateWindow is a ring of the last bytes of the output.
type inflateWindow struct {
	buf  []byte // 1<<windowBits, or a smaller power of two until there is more output
	next uint32 // where the next byte goes
	size uint32 // how many bytes there are
}

var inflateWindows [MaxWindowBits + 1]sync.Pool // by windowBits

func newInflateWindow(windowBits uint8) *inflateWindow {
	if w, ok := inflateWindows[windowBits].Get().(*inflateWindow); ok {
		return w
	}
	return &inflateWindow{buf: make([]byte, 1<<windowBits)}
}

func (w *inflateWindow) release() {
	w.next, w.size = 0, 0
	inflateWindows[bits.TrailingZeros(uint(len(w.buf)))].Put(w)
}

func (w *inflateWindow) append(p []byte) {
	if len(p) >= len(w.buf) {
		copy(w.buf, p[len(p)-len(w.buf):])
		w.next, w.size = 0, uint32(len(w.buf))
		return
	}
	n := copy(w.buf[w.next:], p)
	copy(w.buf, p[n:])
	w.next = (w.next + uint32(len(p))) & uint32(len(w.buf)-1)
	w.size = min(w.size+uint32(len(p)), uint32(len(w.buf)))
}

// read fills dst with the bytes that begin back bytes before the end. There are
// enough: len(dst) <= back <= size.
func (w *inflateWindow) read(dst []byte, back int) {
	from := (int(w.next) - back) & (len(w.buf) - 1)
	n := copy(dst, w.buf[from:])
	copy(dst[n:], w.buf)
}
