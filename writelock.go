package websocket

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/flate"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/utf8"
)

// outHalf is the writing half of a connection. The owner of the write lock is the
// only one that uses the transport's writing side. Frames of others are queued in
// the meantime, and leave with the next owner's write, or by a goroutine of their
// own, flush. mu is never held during I/O.
type outHalf struct {
	write writeLock
	bytes atomic.Uint64 // written

	mu       sync.Mutex     // guards what follows; see lock
	flushing bool           // a goroutine was started to flush and has not begun
	closed   bool           // a close frame was queued; nothing may follow it
	broken   bool           // the writing half is over: nothing may be written any more
	sender   sender         // in the middle of a message only while there is a stream, whose writer alone uses it then
	writing  uint32         // bytes that the owner is writing, if it has called takeLocked; see setWriting
	tell     bool           // eventFlushed is due as soon as nothing is queued
	stream   *messageWriter // the message under way that Writer began; no other may begin
	queue    *sendQueue     // nil when it is empty
}

// messageWriter streams one message out. While it is the connection's
// out.stream no other message can begin.
type messageWriter struct {
	c   *Conn
	ctx context.Context
	typ MessageType

	mu    sync.Mutex     // for callers that use it from several goroutines
	buf   *buffer.Buffer // collects small writes
	text  utf8.Validator
	enc   *flate.Encoder // made if the message is compressed, in several frames, and not by the connection's own
	begun bool           // a frame has been sent
	err   error
}

// writeLock admits one writer, its owner. As long as nothing is queued it is
// acquired and released without out.mu: a message on a quiet connection costs two
// atomic operations.
type writeLock struct{ word atomic.Uint64 }

const (
	writeHeld   = 1 << iota // it has an owner
	writeQueued             // something is queued, or about to be; changes only under out.mu

	writeSizeShift  = 2                              // the size of the message that is being written
	writeSizeBits   = 17                             // if it is smaller than 128 KiB and was begun without out.mu
	writeCountShift = writeSizeShift + writeSizeBits // how many messages were written
	writeSizeMask   = (1<<writeSizeBits - 1) << writeSizeShift
)

// acquire makes the caller the owner, to write n bytes, if that is possible
// without out.mu.
func (l *writeLock) acquire(n int) bool {
	s := l.word.Load()
	return s&(writeHeld|writeQueued) == 0 && n < 1<<writeSizeBits &&
		l.word.CompareAndSwap(s, s|writeHeld|uint64(n)<<writeSizeShift)
}

// release ends what acquire began, after a message was written, if that is
// possible without out.mu.
func (l *writeLock) release() bool {
	s := l.word.Load()
	return s&writeQueued == 0 && l.word.CompareAndSwap(s, s&^(writeHeld|writeSizeMask)+1<<writeCountShift)
}

func (l *writeLock) held() bool    { return l.word.Load()&writeHeld != 0 }
func (l *writeLock) size() int     { return int(l.word.Load() & writeSizeMask >> writeSizeShift) }
func (l *writeLock) count() uint64 { return l.word.Load() >> writeCountShift }

// add counts a message. The caller holds out.mu, as for set.
func (l *writeLock) add() { l.word.Add(1 << writeCountShift) }

// addMore counts n messages. It needs neither out.mu nor the lock.
func (l *writeLock) addMore(n int) { l.word.Add(uint64(n) << writeCountShift) }

func (l *writeLock) set(held bool) {
	if held {
		l.word.Or(writeHeld)
	} else {
		l.word.And(^uint64(writeHeld | writeSizeMask))
	}
}

// setWriting notes that n bytes are being written. More than 4 GiB count as that.
func (o *outHalf) setWriting(n int) { o.writing = uint32(min(uint64(n), math.MaxUint32)) }

// lock locks mu, and sets writeQueued, with which acquire and release fail, until
// unlock finds that nothing is queued.
func (o *outHalf) lock() {
	o.mu.Lock()
	if o.write.word.Load()&writeQueued == 0 {
		o.write.word.Or(writeQueued)
	}
}

func (o *outHalf) unlock() {
	if q := o.queue; q != nil && q.empty() {
		o.queue = nil
		*q = sendQueue{} // nothing is in it, but it may remember a pong's place
		sendQueues.Put(q)
	}
	if o.queue == nil && o.stream == nil {
		o.write.word.And(^uint64(writeQueued))
	}
	o.mu.Unlock()
}

// await waits until w owns the write lock, and then returns the result of
// takeLocked, or until w is done, with another owner's write. If ctx ends while
// another owner writes the message, it may arrive all the same.
func (c *Conn) await(ctx context.Context, w *writer) (ahead *transport.Backlog, owns bool, err error) {
	late, stop := turnTimer(w.frame.until)
	defer stop()
	select {
	case <-w.ready:
	case <-ctx.Done():
		err = contextError(ctx)
	case <-late:
		err = c.writeTimeoutError()
	}
	o := &c.out
	o.lock()
	defer o.unlock()
	switch w.state {
	case coalesced:
		if err != nil {
			return nil, false, maybeSent(err)
		}
		return nil, false, c.writeError()
	case done:
		return nil, false, w.err
	}
	if e := c.writeError(); e != nil {
		err = e
	}
	switch {
	case w.state == waiting:
		if o.queue != nil {
			o.queue.remove(w)
		}
	case err != nil:
		c.releaseLocked(0, nil)
	default:
		return c.takeLocked(len(w.frame.p)), true, nil
	}
	return nil, false, err
}

// releaseLocked hands the write lock on: to the next writer whose message may
// begin, or to flush. The owner has written sent bytes of the result of takeLocked;
// err is why it did not write all.
func (c *Conn) releaseLocked(sent int, err error) {
	o := &c.out
	o.write.set(false)
	o.writing = 0
	q := o.queue
	if q == nil {
		c.scheduleFlushLocked()
		return
	}
	if err != nil && !c.t.Exact() {
		err = maybeSent(err)
	}
	q.endCoalesced(sent, err)
	if w := q.nextWriter(o.stream); w != nil {
		o.write.set(true)
		w.state = owning
		close(w.ready)
		return
	}
	c.tellDrainedLocked()
	c.scheduleFlushLocked()
}

// scheduleFlushLocked makes sure that queued frames leave: the owner of the write
// lock calls it again when it releases the lock; without an owner, a goroutine is
// started.
func (c *Conn) scheduleFlushLocked() {
	o := &c.out
	if o.write.held() || o.flushing || !c.hasWorkLocked() {
		return
	}
	o.flushing = true
	f, _ := flushers.Get().(*flusher)
	if f == nil {
		f = new(flusher)
		f.run = f.flush
	}
	f.c = c
	go f.run()
}

// hasWorkLocked reports whether there is something for flush to do.
func (c *Conn) hasWorkLocked() bool {
	o := &c.out
	return !o.broken && (o.queue != nil && o.queue.hasFrames() || o.tell)
}

// flusher is a goroutine's call of flush. It is pooled because a func value
// of it allocates.
type flusher struct {
	c   *Conn
	run func() // flush
}

var flushers sync.Pool // of *flusher

func (f *flusher) flush() {
	c := f.c
	f.c = nil
	flushers.Put(f)
	c.flush()
}

// breakLocked ends the writing half: nothing is written any more. dropWritersLocked
// wakes the writers that wait.
func (o *outHalf) breakLocked() {
	o.broken, o.closed = true, true
	if o.queue != nil {
		o.queue.drop()
	}
}
