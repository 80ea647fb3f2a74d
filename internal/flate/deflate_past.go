package flate

import (
	"math/bits"
	"unsafe"
)

// past holds the sent bytes to which a message may refer, and an index to find
// matches in them.
//
// Every byte of a direction has a position, which counts modulo 65536, and the
// index holds positions. They are hints: an entry of the index may be out of
// date, overwritten or undone. A match is accepted only if its bytes are in buf, not
// further back than the window, and have been compared. So the index need not be
// corrected when bytes are moved or forgotten.
type past struct {
	params     *levelParams
	windowBits uint8
	buf        []byte // buf[:n] are the bytes sent last; its size is the window and room for more
	n          int
	mark       int      // n before the last Encode, negative if unknown
	base       uint32   // the position of buf[0]
	indexBits  uint8    // logarithm of the number of positions in index or pairs
	index      []uint16 // by hash: the last position of such bytes
	pairs      []uint32 // instead of index with findPair: the last position, low, and the one before
	prev       []uint16 // with findChain, by position modulo the window: the previous with that hash
}

const (
	pooledIndexBits = 14
	minIndexBits    = 9
)

// keptIndexBits returns the indexBits of an Encoder with takeover.
func keptIndexBits(params *levelParams, windowBits int) int {
	switch {
	case params.find == findChain:
		return windowBits - 1
	case windowBits >= 14:
		return windowBits - 2
	}
	return windowBits - 1
}

// bufSize returns the size of buf.
func bufSize(windowBits int) int {
	return 1<<windowBits + max(1<<windowBits/4, 256)
}

// EncoderMemory returns about how many bytes an Encoder with takeover keeps
// between messages: from level 1 to 6 these are the window, a quarter more to
// move it rarely, and an index of half a window or, up to windowBits 13, a
// whole one. From level 7 it is an index of a whole window, and links of two.
func EncoderMemory(level, windowBits int) int {
	var e Encoder
	e.Init(level, windowBits, true)
	params, wbits := &levels[e.level], int(e.windowBits)
	n := int(unsafe.Sizeof(e)+unsafe.Sizeof(past{})) + bufSize(wbits) + 2<<keptIndexBits(params, wbits)
	if params.find == findChain {
		n += 2 << wbits
	}
	return n
}

// newPast returns the past of an Encoder with takeover.
func newPast(params *levelParams, windowBits int) *past {
	t := &past{
		params:     params,
		windowBits: uint8(windowBits),
		buf:        make([]byte, bufSize(windowBits)),
		indexBits:  uint8(keptIndexBits(params, windowBits)),
	}
	t.makeIndex(int(t.indexBits), windowBits)
	return t
}

// makeIndex allocates the index, pairs or prev that params need, if not there yet.
func (t *past) makeIndex(indexBits, windowBits int) {
	find := t.params.find
	if find == findPair && t.pairs == nil {
		t.pairs = make([]uint32, 1<<indexBits/2)
	}
	if find != findPair && t.index == nil {
		t.index = make([]uint16, 1<<indexBits)
	}
	if find == findChain && t.prev == nil {
		t.prev = make([]uint16, 1<<windowBits)
	}
}

// reuse prepares a past from the pool for a message that begins with size
// bytes.
func (t *past) reuse(params *levelParams, windowBits, size int) {
	t.params, t.windowBits = params, uint8(windowBits)
	t.indexBits = uint8(min(max(bits.Len(uint(size))+2, minIndexBits), pooledIndexBits))
	t.makeIndex(pooledIndexBits, MaxWindowBits)
	t.forget()
	// Positions continue from message to message, so that those of earlier messages
	// are too far back. Before positions restart the index is cleared: so the result
	// does not depend on earlier messages.
	if uint64(t.base)+uint64(size) >= 1<<16 {
		clear(t.index)
		clear(t.pairs)
		t.base = 1
	}
}

func (t *past) forget() {
	t.base += uint32(t.n)
	t.n, t.mark = 0, 0
}

func (t *past) undo() {
	if t.mark < 0 {
		t.forget()
	}
	t.n = t.mark
}

// encode makes blocks of p. If keep is set, p becomes part of the past.
func (t *past) encode(w *blockWriter, p []byte, keep bool) {
	window := 1 << t.windowBits
	if keep && t.buf == nil {
		t.buf = make([]byte, bufSize(MaxWindowBits)) // pooled
	}
	t.mark = t.n
	start, i := 0, 0 // of the block, and of the bytes without a symbol

	// As long as the window reaches back to before p, matches are found in
	// buf, to which p is appended bit by bit.
	for t.n > 0 && i < min(len(p), window) {
		k := copy(t.room(), p[i:])
		next := t.n
		t.n += k
		for next < t.n {
			n := t.find(w, t.buf[:t.n], t.base, next)
			i += n - next
			next = n
			if w.symbols+w.lits >= maxSymbols {
				w.endBlock(p[start:i], i < len(p))
				start = i
			}
		}
	}

	// From here on the window lies in p.
	if i < len(p) {
		t.base += uint32(t.n - i) // the position of p[0]
		for i < len(p) {
			i = t.find(w, p, t.base, i)
			if w.symbols+w.lits >= maxSymbols {
				w.endBlock(p[start:i], i < len(p))
				start = i
			}
		}
		t.n = 0
		from := len(p)
		if keep {
			from = max(0, len(p)-window)
			t.n = copy(t.buf, p[from:])
		}
		t.base += uint32(from)
		if t.mark > 0 {
			t.mark = -1
		}
	}
	w.endBlock(p[start:], false)
}

// room returns the free memory after buf[:n]. If there is none it moves the last
// window of buf to the front first.
func (t *past) room() []byte {
	size := bufSize(int(t.windowBits))
	if t.n == size {
		window := 1 << t.windowBits
		s := size - window
		copy(t.buf, t.buf[s:size])
		t.n = window
		t.base += uint32(s)
		t.mark -= s
	}
	return t.buf[t.n:size]
}

// find gives w the sequences of buf from i on, and perhaps literals that follow. It
// returns the index at which it stopped: the end, or earlier if the block may be
// full. buf[0] has the position base.
func (t *past) find(w *blockWriter, buf []byte, base uint32, i int) int {
	// A symbol is at least a byte, so this cannot be too many.
	stop := min(len(buf), i+maxSymbols-w.symbols-w.lits)
	switch t.params.find {
	case findFast:
		return t.findFast(w, buf, base, i, stop)
	case findPair:
		return t.findPair(w, buf, base, i, stop)
	default:
		return t.findChain(w, buf, base, i, stop)
	}
}
