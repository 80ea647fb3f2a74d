package flate

import (
	"fmt"
	"math/bits"
	"sync"
)

// Decoder inflates the messages of one direction of a connection. It is not
// safe for concurrent use. Between messages it owns nothing, or, with takeover, a
// window.
type Decoder struct {
	work       *inflateWork   // of the message under way
	window     *inflateWindow // the output before out[start:]; nil if there is none
	err        error
	windowBits uint8
	takeover   bool
	loaded     uint32 // the message of an inflateWork that was the last one of this Decoder
}

// inflateWork is the state that only a message under way needs.
type inflateWork struct {
	in    []byte // the remaining input of this call
	bits  uint64 // input that is taken from in and not used yet, the first bit lowest
	nbits uint   // how many these are; all bits above them are 0

	stage  inflateStage
	final  bool // the block under way, or else the one before, has BFINAL set
	tail   int  // how many bytes of inflateTail were taken
	length int  // how many bytes of a stored block or a match are still to be copied
	dist   int  // the distance of the match

	// The tables of the block under way: own, or the fixed ones.
	litLen *litLenTable
	dists  *distTable

	header    inflateHeader
	ownLitLen litLenTable
	ownDists  distTable

	messages  uint32 // with takeover, counted for preload
	preloaded uint64 // without meaning
}

// inflateStage says what comes next in the input.
type inflateStage uint8

const (
	stageBlock    inflateStage = iota // BFINAL and BTYPE
	stageStored                       // LEN and NLEN
	stageBytes                        // length bytes of a stored block
	stageSizes                        // HLIT, HDIST and HCLEN
	stageCodeLens                     // the lengths of the code length code
	stageLens                         // the lengths of the two other codes
	stageSymbol                       // a literal or a length
	stageDist                         // the distance that belongs to length
	stageMatch                        // nothing: a match still has to be copied
)

// inflateTail is the rest of an empty stored block, which the sender has removed from
// the end of a message (RFC 7692, section 7.2.1).
var inflateTail = []byte{0x00, 0x00, 0xff, 0xff}

var inflateWorks = sync.Pool{New: func() any { return new(inflateWork) }}

func inflateError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

var (
	errInflateType      = inflateError("a block of the reserved type")
	errInflateStored    = inflateError("the length of a stored block and its complement do not match")
	errInflateSizes     = inflateError("a block has more codes than there are symbols")
	errInflateCodeLens  = inflateError("the code of the code lengths is not a complete prefix code")
	errInflateLitLen    = inflateError("the code of the literals and lengths is not a complete prefix code")
	errInflateDist      = inflateError("the code of the distances is not a complete prefix code")
	errInflateNoEnd     = inflateError("a block has no code to end it")
	errInflateNoRepeat  = inflateError("a repeated code length, and none before it")
	errInflateRepeat    = inflateError("a code length is repeated beyond the last code")
	errInflateNoLength  = inflateError("an invalid literal or length")
	errInflateNoDist    = inflateError("an invalid distance")
	errInflateFar       = inflateError("a distance that reaches before the first byte")
	errInflateTruncated = inflateError("the message ends inside a block")
)

// NewDecoder returns a Decoder for a window of 1<<windowBits bytes, with
// windowBits from MinWindowBits to MaxWindowBits. A distance beyond the window is an
// error. With takeover a message may refer to earlier ones.
func NewDecoder(windowBits int, takeover bool) *Decoder {
	d := new(Decoder)
	d.Init(windowBits, takeover)
	return d
}

// Init sets d to the Decoder that NewDecoder would return, and releases the memory
// that d owned.
func (d *Decoder) Init(windowBits int, takeover bool) {
	d.release()
	*d = Decoder{windowBits: uint8(windowBits), takeover: takeover}
}

// Decode inflates src, the next bytes of a message's payload, and appends the output
// to dst, never beyond its capacity; bytes between the length and the capacity may
// be overwritten. dst[start:] is the output of the message since it began or since
// the last Save. Decode returns the extended slice and how many bytes of src it has
// used.
//
// If len(out) < cap(out), all of src is used and all of its output is in out.
// Otherwise the caller calls again with more room and the rest of src, which may be
// empty. Between the calls out may be moved to other memory.
//
// last says that the message ends with src. The message is over when Decode then
// returns with len(out) < cap(out), and the next call begins another.
//
// Every error wraps ErrCorrupt; the Decoder cannot go on after one.
func (d *Decoder) Decode(dst []byte, start int, src []byte, last bool) (out []byte, n int, err error) {
	if d.err != nil || len(dst) == cap(dst) {
		return dst, 0, d.err
	}
	if d.work == nil {
		if len(src) == 0 {
			// No input yet, or an empty message as zlib makes it after another
			// one: a flush with nothing to flush writes nothing.
			return dst, 0, nil
		}
		d.work = inflateWorks.Get().(*inflateWork)
		if d.window != nil {
			d.preload(len(src))
		}
	}
	w := d.work
	out, n, err = d.run(dst, start, src)
	if err == nil && last && len(out) < cap(out) && !w.ended() {
		var used int
		out, used, err = d.run(out, start, inflateTail[w.tail:])
		w.tail += used
		if err == nil && len(out) < cap(out) && !w.ended() {
			err = errInflateTruncated
		}
	}
	switch {
	case err != nil:
		d.err = err
		d.release()
	case last && len(out) < cap(out):
		d.finish(out[start:])
	}
	return out, n, err
}

// preload is called before a message of which size bytes are there. It is for the
// same reason as that of history.
func (d *Decoder) preload(size int) {
	w := d.work
	w.messages++
	turns := w.messages - d.loaded
	d.loaded = w.messages
	if size < preloadInput || turns <= preloadAfter {
		return
	}
	sum := uint64(0) // keeps the compiler from leaving out the reads
	for i := 0; i < int(d.window.size); i += cacheLine {
		sum += uint64(d.window.buf[i])
	}
	w.preloaded = sum
}

// ended reports whether the message, which has no input left, may end here: between
// two blocks, and after the tail or after a block with BFINAL set (section 7.2.3.4).
func (w *inflateWork) ended() bool {
	return w.stage == stageBlock && w.nbits == 0 && (w.final || w.tail == len(inflateTail))
}

// Takeover reports whether the window survives the end of a message.
func (d *Decoder) Takeover() bool { return d.takeover }

// Save is for a caller that releases out[start:] before the message is over: it
// copies the bytes that belong to the window. The next call of Decode begins with
// no output, start == len(dst).
func (d *Decoder) Save(out []byte, start int) {
	if d.work != nil && start < len(out) { // else the message is over, and saved already
		d.keep(out[start:])
	}
}

// finish ends the message. produced is the output that has not been saved.
func (d *Decoder) finish(produced []byte) {
	if !d.takeover {
		d.release()
		return
	}
	if len(produced) > 0 {
		d.keep(produced)
	}
	d.releaseWork()
}

// keep appends p to the window, which grows with what is received.
func (d *Decoder) keep(p []byte) {
	size := len(p)
	if d.window != nil {
		size += int(d.window.size)
	}
	need := min(uint8(bits.Len(uint(max(size-1, 1<<MinWindowBits-1)))), d.windowBits)
	if w := d.window; w == nil || len(w.buf) < 1<<need {
		d.window = newInflateWindow(need)
		if w != nil {
			n := int(w.size)
			w.read(d.window.buf[:n], n)
			d.window.next, d.window.size = uint32(n), uint32(n)
			w.release()
		}
	}
	d.window.append(p)
}

func (d *Decoder) release() {
	d.releaseWork()
	if d.window != nil {
		d.window.release()
		d.window = nil
	}
}

func (d *Decoder) releaseWork() {
	if w := d.work; w != nil {
		w.bits, w.nbits, w.stage, w.final, w.tail = 0, 0, stageBlock, false, 0
		inflateWorks.Put(w)
		d.work = nil
	}
}
