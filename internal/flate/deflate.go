package flate

import "sync"

// DefaultLevel takes about 60% more time than level 1 on JSON of 1 KiB, and its
// messages are 5% smaller, or 14% with takeover.
const DefaultLevel = 4

// Encoder compresses the messages of one direction of a connection (RFC 7692,
// section 7.2.1). It is not safe for concurrent use. Without takeover it owns
// nothing between messages.
type Encoder struct {
	level      uint8
	windowBits uint8
	takeover   bool
	history    *history // nil while empty; without takeover, from histories during a message
}

var (
	writers   = sync.Pool{New: func() any { return new(blockWriter) }}
	histories = sync.Pool{New: func() any { return &history{base: 1} }}
)

// NewEncoder returns an Encoder of a level from 1 (fastest) to 9 (best). No
// distance is above 1<<windowBits; windowBits is 8 to 15. With takeover a message
// may refer back to earlier ones. A number out of range is replaced by the nearest
// in range.
func NewEncoder(level, windowBits int, takeover bool) *Encoder {
	e := new(Encoder)
	e.Init(level, windowBits, takeover)
	return e
}

// Init sets e to the Encoder that NewEncoder would return.
func (e *Encoder) Init(level, windowBits int, takeover bool) {
	*e = Encoder{
		level:      uint8(min(max(level, 1), len(kept)-1)),
		windowBits: uint8(min(max(windowBits, MinWindowBits), MaxWindowBits)),
		takeover:   takeover,
	}
}

// Encode compresses p, the next part of a message or all of it, and appends
// the result to dst; bytes after the result, up to the capacity, may be
// overwritten as well. The result ends at a byte boundary with an empty stored
// block. The last four bytes of that block, 00 00 ff ff, are left out if this part
// is the last. Parts of one message refer back to each other, with or without
// takeover. p is not kept.
func (e *Encoder) Encode(dst, p []byte, last bool) []byte {
	w := writers.Get().(*blockWriter)
	w.begin(dst)
	if len(p) > 0 && e.history == nil {
		e.makeHistory(len(p), last)
	}
	if e.history != nil {
		if e.takeover {
			e.history.preload(w, len(p))
		}
		e.history.encode(w, p, e.takeover || !last)
	}
	if last && !e.takeover {
		e.release()
	}
	dst = w.end(last)
	writers.Put(w)
	return dst
}

// Undo undoes the last Encode, which must have been given a whole message. It is
// for a message that will not be sent, so that the peer's window will not have it.
// Some of the earlier bytes may be forgotten as well.
func (e *Encoder) Undo() {
	if e.history != nil {
		e.history.undo()
	}
}

// Reset forgets the bytes that have been sent, and the message that is under way:
// the next message refers back to nothing.
func (e *Encoder) Reset() {
	if e.takeover && e.history != nil {
		e.history.forget()
	}
	e.release()
}

// makeHistory gives e a history to find matches in, for a first part of size bytes.
func (e *Encoder) makeHistory(size int, last bool) {
	if e.takeover {
		e.history = newHistory(&kept[e.level], int(e.windowBits))
		return
	}
	if !last {
		size = 1 << 16 // or more
	}
	e.history = histories.Get().(*history)
	e.history.reuse(&pooled[e.level], int(e.windowBits), size)
}

// release returns pooled memory.
func (e *Encoder) release() {
	if !e.takeover && e.history != nil {
		histories.Put(e.history)
		e.history = nil
	}
}
