package flate

import (
	"math/bits"
	"unsafe"
)

// history holds the sent bytes to which a message may refer, and an index to find
// matches in them.
//
// Every byte of a direction has a position, which counts modulo 65536, and the
// index holds positions. They are hints: an entry of the index may be out of
// date, overwritten or undone. A match is accepted only if its bytes are in buf, not
// further back than the window, and have been compared. So the index need not be
// corrected when bytes are moved or forgotten.
type history struct {
	*settings
	windowBits uint8
	buf        []byte // buf[:n] are the bytes sent last; it grows to the window and room for more
	n          int
	mark       int    // n before the last Encode, negative if unknown
	base       uint32 // the position of buf[0]
	repeat     int    // the distance of the last match, or 0
	loaded     uint32 // the message of a blockWriter that was the last one of this history

	// The index, as level.find needs it, of 1<<indexBits positions.
	indexBits uint8
	linkBits  uint8    // logarithm of how much of prev is in use: as much as there are positions in reach
	index     []uint16 // by hash: the last position
	buckets   []uint64 // by hash: the last four positions, the latest one in the low bits
	prev      []uint16 // by position modulo 1<<linkBits: the one before with the same hash
}

const (
	pooledIndexBits = 16
	fastIndexBits   = 14 // of the pooled index with findFast, which would gain little by more
	minIndexBits    = 9
)

// keptIndexBits returns the indexBits of an Encoder with takeover.
func keptIndexBits(set *settings, windowBits int) int {
	switch {
	case set.finder == findChain:
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
// between messages once the window is full: from level 1 to 6 these are the window, a quarter more to
// move it rarely, and an index of half a window or, up to windowBits 13, a
// whole one. From level 7 it is an index of a whole window, and links of two.
func EncoderMemory(level, windowBits int) int {
	var e Encoder
	e.Init(level, windowBits, true)
	set, wbits := &kept[e.level], int(e.windowBits)
	n := int(unsafe.Sizeof(e)+unsafe.Sizeof(history{})) + bufSize(wbits) + 2<<keptIndexBits(set, wbits)
	if set.finder == findChain {
		n += 2 << wbits
	}
	return n
}

// newHistory returns the history of an Encoder with takeover.
func newHistory(set *settings, windowBits int) *history {
	t := &history{
		settings:   set,
		windowBits: uint8(windowBits),
		indexBits:  uint8(keptIndexBits(set, windowBits)),
		linkBits:   uint8(windowBits),
	}
	t.makeIndex(int(t.indexBits), windowBits)
	return t
}

// makeIndex allocates what the level needs of the index, if it is not there yet.
func (t *history) makeIndex(indexBits, windowBits int) {
	switch t.finder {
	case findBucket:
		if t.buckets == nil {
			t.buckets = make([]uint64, 1<<indexBits/4)
		}
	case findChain:
		if t.prev == nil {
			t.prev = make([]uint16, 1<<windowBits)
		}
		fallthrough
	default:
		if t.index == nil {
			t.index = make([]uint16, 1<<indexBits)
		}
	}
}

// reuse prepares a history from the pool for a message that begins with size
// bytes.
func (t *history) reuse(set *settings, windowBits, size int) {
	t.settings, t.windowBits = set, uint8(windowBits)
	most := pooledIndexBits
	if set.finder == findFast {
		most = fastIndexBits
	}
	t.indexBits = uint8(min(max(bits.Len(uint(size))+2, minIndexBits), most))
	t.linkBits = uint8(min(max(bits.Len(uint(size)), MinWindowBits), windowBits))
	t.makeIndex(pooledIndexBits, MaxWindowBits)
	t.forget()
	// Positions continue from message to message, so that those of earlier messages
	// are too far back. Before positions restart the index is cleared: so the result
	// does not depend on earlier messages.
	if uint64(t.base)+uint64(size) >= 1<<16 {
		clear(t.index)
		t.base = 1
	}
}

func (t *history) forget() {
	t.base += uint32(t.n)
	t.n, t.mark, t.repeat = 0, 0, 0
}

func (t *history) undo() {
	if t.mark < 0 {
		t.forget()
	}
	t.n = t.mark
}

// encode makes blocks of p. If keep is set, p becomes part of the history.
func (t *history) encode(w *blockWriter, p []byte, keep bool) {
	window := 1 << t.windowBits
	t.mark = t.n
	start, i := 0, 0 // of the block, and of the bytes without a symbol

	// As long as the window reaches back to before p, matches are found in
	// buf, to which p is appended bit by bit.
	for t.n > 0 && i < min(len(p), window) {
		k := copy(t.room(len(p)-i), p[i:])
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
			t.n = copy(t.room(len(p)-from), p[from:])
		}
		t.base += uint32(from)
		if t.mark > 0 {
			t.mark = -1
		}
	}
	w.endBlock(p[start:], false)
}

// room returns the free memory after buf[:n], for size bytes if that is possible. buf
// grows with what is sent. If it has its full size and is full, room moves the last
// window to the front first.
func (t *history) room(size int) []byte {
	full := bufSize(int(t.windowBits))
	if len(t.buf) < min(t.n+size, full) {
		buf := make([]byte, min(max(2*len(t.buf), t.n+size), full))
		copy(buf, t.buf[:t.n])
		t.buf = buf
	}
	if t.n == full {
		window := 1 << t.windowBits
		s := full - window
		copy(t.buf, t.buf[s:full])
		t.n = window
		t.base += uint32(s)
		t.mark -= s
	}
	return t.buf[t.n:min(len(t.buf), full)]
}

// preload is called before a message of size bytes. Where many connections take
// turns, the window and the index are no longer in the processor's caches. Reading
// them in order then takes less time than to wait for memory at each position that
// the match finder looks at.
func (t *history) preload(w *blockWriter, size int) {
	w.messages++
	turns := w.messages - t.loaded
	t.loaded = w.messages
	if size < preloadBytes || turns <= preloadAfter {
		return
	}
	sum := uint64(0) // keeps the compiler from leaving out the reads
	for i := 0; i < len(t.buckets); i += cacheLine / 8 {
		sum += t.buckets[i]
	}
	for i := 0; i < len(t.index); i += cacheLine / 2 {
		sum += uint64(t.index[i])
	}
	for i := 0; i < len(t.prev); i += cacheLine / 2 {
		sum += uint64(t.prev[i])
	}
	for i := max(0, t.n-1<<t.windowBits); i < t.n; i += cacheLine {
		sum += uint64(t.buf[i])
	}
	w.preloaded = sum
}

// find gives w the sequences of buf from i on, and perhaps literals that follow. It
// returns the index at which it stopped: the end, or earlier if the block may be
// full. buf[0] has the position base.
func (t *history) find(w *blockWriter, buf []byte, base uint32, i int) int {
	// A symbol is at least a byte, so this cannot be too many.
	stop := min(len(buf), i+maxSymbols-w.symbols-w.lits)
	switch t.finder {
	case findFast:
		return t.findFast(w, buf, base, i, stop)
	case findBucket:
		return t.findBucket(w, buf, base, i, stop)
	default:
		return t.findChain(w, buf, base, i, stop)
	}
}
