package websocket

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
)

// outHalf is the writing half of a connection. Its lock is never held during
// I/O: whoever has the turn owns the transport's writing side. What others have
// to send in the meantime is queued here, and leaves with whoever writes next,
// or by a goroutine of its own, flush.
type outHalf struct {
	turn  turn
	bytes atomic.Uint64 // written

	mu       sync.Mutex     // guards what follows; see lock
	flushing bool           // a goroutine is on its way to flush
	closed   bool           // a close frame was queued; nothing may follow it
	sender   sender         // in the middle of a message only while there is a stream, whose writer alone uses it then
	writing  uint32         // bytes that the owner is writing, if it has the turn by takeLocked; see setWriting
	stream   *messageWriter // the message under way that Writer began; no other may begin
	held     *buffer        // encoded frames that go before everything else, at most maxHeld bytes; or nil
	queue    *outQueue      // nil when nobody waits, and no control frame does
}

// turn says whether somebody owns the writing side. It can be taken and
// handed on without the lock, as long as nothing is queued: a message on a quiet
// connection costs two atomic operations.
type turn struct{ word atomic.Uint64 }

const (
	turnTaken  = 1 << iota // somebody owns the writing side
	turnLocked             // only under the lock may this change: something is queued, or about to be

	turnSizeShift  = 2                            // the size of the message that is being written
	turnSizeBits   = 17                           // if it is smaller than 128 KiB and was begun without the lock
	turnCountShift = turnSizeShift + turnSizeBits // how many messages were written
	turnSizeMask   = (1<<turnSizeBits - 1) << turnSizeShift
)

// take makes the caller the owner, to write n bytes, if that is possible
// without the lock.
func (t *turn) take(n int) bool {
	s := t.word.Load()
	return s&(turnTaken|turnLocked) == 0 && n < 1<<turnSizeBits &&
		t.word.CompareAndSwap(s, s|turnTaken|uint64(n)<<turnSizeShift)
}

// pass ends what take began, after a message was written, if that is possible
// without the lock.
func (t *turn) pass() bool {
	s := t.word.Load()
	return s&turnLocked == 0 && t.word.CompareAndSwap(s, s&^(turnTaken|turnSizeMask)+1<<turnCountShift)
}

func (t *turn) taken() bool   { return t.word.Load()&turnTaken != 0 }
func (t *turn) size() int     { return int(t.word.Load() & turnSizeMask >> turnSizeShift) }
func (t *turn) count() uint64 { return t.word.Load() >> turnCountShift }

// add counts a message; it is for those who hold the lock, as set is.
func (t *turn) add() { t.word.Add(1 << turnCountShift) }

func (t *turn) set(taken bool) {
	if taken {
		t.word.Or(turnTaken)
	} else {
		t.word.And(^uint64(turnTaken | turnSizeMask))
	}
}

// setWriting notes that n bytes are being written. More than 4 GiB count as that.
func (o *outHalf) setWriting(n int) { o.writing = uint32(min(uint64(n), math.MaxUint32)) }

// lock locks o: the turn, too, which unlock sets free if nothing is queued.
func (o *outHalf) lock() {
	o.mu.Lock()
	if o.turn.word.Load()&turnLocked == 0 {
		o.turn.word.Or(turnLocked)
	}
}

func (o *outHalf) unlock() {
	if o.held == nil && o.queue == nil && o.stream == nil {
		o.turn.word.And(^uint64(turnLocked))
	}
	o.mu.Unlock()
}

// outQueue is what waits for the writing side.
type outQueue struct {
	waiting []*outWaiter // writers, first come first served
	leaving []*outWaiter // whose messages the owner has taken along

	sends   int           // bytes of Send that wait, or that a goroutine is writing
	drained chan struct{} // closed when nothing is buffered any more; nil if nobody wants to hear

	// Control frames, encoded.
	pongs    []byte
	lastPong int // where the newest one starts
	npongs   int
	ping     []byte // only the newest counts
	close    []byte
}

// outWaiter waits for the writing side, or for its message to be taken along.
type outWaiter struct {
	stream *messageWriter // the one it writes for, or nil
	frame  outFrame       // its message, if it can be taken along
	joins  bool           // whether it can
	batch  *batch         // the messages of Send that it stands for, or nil
	turn   chan struct{}  // closed when it owns, when it is done, or when the connection is closing
	state  waiterState    // guarded by out.mu, like err
	err    error          // once done
}

type waiterState uint8

const (
	waiting waiterState = iota
	owning              // has the writing side
	leaving             // its message is in another's write; frame is not looked at any more
	done                // which has ended, with err
)

const (
	// maxHeld bounds the bytes that are collected to leave together.
	maxHeld = 64 << 10
	// maxJoin is the largest message that is copied to leave together with
	// others. The copy takes less time than the system call that it saves.
	maxJoin = 16 << 10
)

// freeLocked reports whether a writer need not wait.
func (o *outHalf) freeLocked(stream *messageWriter) bool {
	return !o.turn.taken() && (stream == anyStream ||
		o.stream == stream && (stream != nil || o.queue == nil || len(o.queue.waiting) == 0))
}

// joinsLocked reports whether a message of n bytes can join what is held.
func (o *outHalf) joinsLocked(n int) bool {
	return o.stream == nil && o.held.len()+maxHeaderSize+n <= maxHeld && (o.queue == nil || o.queue.sends == 0)
}

// joinLocked puts a message behind what is held. If it is to be compressed by
// the connection's own encoder, nobody else has the writing side.
func (c *Conn) joinLocked(f outFrame) {
	o := &c.out
	z := c.pack(&f)
	var h Header
	c.header(&h, &f)
	o.held = o.held.withRoom(maxHeaderSize + len(f.p))
	o.held.b = f.append(o.held.b, &h)
	o.turn.add()
	putBuffer(z)
}

// queueLocked returns the queue, for something to be put in.
func (o *outHalf) queueLocked() *outQueue {
	if o.queue == nil {
		o.queue = new(outQueue)
	}
	return o.queue
}

// await waits until w owns the writing side, and then returns what takeLocked
// does; or until w is done, with another's write. When ctx ends, a message that
// another has taken along leaves all the same.
func (c *Conn) await(ctx context.Context, w *outWaiter) (ahead *buffer, owns bool, err error) {
	select {
	case <-w.turn:
	case <-ctx.Done():
		err = contextError(ctx)
	}
	o := &c.out
	o.lock()
	defer o.unlock()
	switch w.state {
	case leaving:
		return nil, false, err
	case done:
		return nil, false, w.err
	}
	if cause := c.readError(); cause != nil {
		err = cause
	}
	switch {
	case w.state == waiting:
		o.forgetLocked(w)
	case err != nil:
		c.releaseLocked(nil)
	default:
		return c.takeLocked(len(w.frame.p)), true, nil
	}
	return nil, false, err
}

// takeLocked returns what is to leave ahead of the owner's own frame, nil if
// nothing is: what was held, control frames but for the close frame, and, if
// the owner's is a message of its own, the messages of those who wait behind
// it, which end in releaseLocked. size is that of the owner's own frame.
func (c *Conn) takeLocked(size int) *buffer {
	o := &c.out
	q := o.queue
	if q != nil {
		o.holdControlLocked()
		i := 0
		for ; i < len(q.waiting); i++ {
			w := q.waiting[i]
			if !w.joins || !o.joinsLocked(len(w.frame.p)) {
				break
			}
			c.joinLocked(w.frame)
			w.state, w.frame.p = leaving, nil
			q.leaving = append(q.leaving, w)
		}
		q.waiting = q.waiting[i:]
	}
	b := o.held
	o.held = nil
	o.setWriting(b.len() + size)
	return b
}

// holdControlLocked puts the control frames that wait, but for the close frame,
// behind what is held.
func (o *outHalf) holdControlLocked() {
	q := o.queue
	if q == nil {
		return
	}
	if n := len(q.pongs) + len(q.ping); n > 0 && o.held.len()+n <= maxHeld {
		o.held = o.held.withRoom(n)
		o.held.b = append(append(o.held.b, q.pongs...), q.ping...)
		q.pongs, q.lastPong, q.npongs, q.ping = nil, 0, 0, nil
	}
}

// giveBackLocked undoes takeLocked for b[from:to].
func (o *outHalf) giveBackLocked(b *buffer, from, to int) {
	if b == nil {
		return
	}
	b.b = b.b[:copy(b.b, b.b[from:to])]
	if o.held != nil {
		b = b.withRoom(len(o.held.b))
		b.b = append(b.b, o.held.b...)
		putBuffer(o.held)
	}
	if o.held = b; len(b.b) == 0 {
		putBuffer(b)
		o.held = nil
	}
}

// releaseLocked hands the writing side on: to the next writer whose message
// may begin, or to flush. err is what became of the messages that the owner
// had taken along.
func (c *Conn) releaseLocked(err error) {
	o := &c.out
	o.turn.set(false)
	o.writing = 0
	q := o.queue
	if q == nil {
		c.kickLocked()
		return
	}
	for i, w := range q.leaving {
		w.state, w.err = done, err
		close(w.turn)
		q.leaving[i] = nil
	}
	q.leaving = q.leaving[:0]
	for i, w := range q.waiting {
		if w.stream == o.stream || w.stream == anyStream {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			o.turn.set(true)
			w.state = owning
			if w.batch != nil {
				go c.writeBatch(w.batch)
			} else {
				close(w.turn)
			}
			return
		}
	}
	c.tellDrainedLocked()
	if q.empty() {
		o.queue = nil
	}
	c.kickLocked()
}

// empty reports whether nobody waits any more, and nothing does.
func (q *outQueue) empty() bool {
	return len(q.waiting) == 0 && !q.hasControl() && q.sends == 0 && q.drained == nil
}

func (o *outHalf) forgetLocked(w *outWaiter) {
	if o.queue == nil {
		return
	}
	for i, v := range o.queue.waiting {
		if v == w {
			o.queue.waiting = append(o.queue.waiting[:i], o.queue.waiting[i+1:]...)
			return
		}
	}
}

// wakeAll has every waiting writer look up, because the connection is
// closing. What Send has queued still leaves, ahead of the close frame, unless
// it would have to wait for a message that will not be completed.
func (c *Conn) wakeAll() {
	o := &c.out
	o.lock()
	defer o.unlock()
	q := o.queue
	if q == nil {
		return
	}
	var batches []*outWaiter
	for _, w := range q.waiting {
		switch {
		case w.batch == nil:
			close(w.turn)
		case o.stream == nil:
			batches = append(batches, w)
		default:
			q.sends -= w.batch.bytes.len()
			putBacklog(w.batch.bytes)
		}
	}
	q.waiting = batches
	c.tellDrainedLocked()
}

// kickLocked sees to it that what is queued leaves: with the owner of the
// writing side, when it hands that on, or by a goroutine.
func (c *Conn) kickLocked() {
	o := &c.out
	if o.turn.taken() || o.flushing || o.held == nil && (o.queue == nil || !o.queue.hasControl()) {
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

// flush writes what is queued.
func (c *Conn) flush() {
	// If messages are held, their batch is over, or its reader does something
	// else. The next one that comes before anything is read leaves directly.
	c.in.marks.clear(inMore)
	o := &c.out
	b, closing := c.takeQueued()
	if b == nil {
		return
	}
	n, err := c.t.Write(b.b)
	putBuffer(b)
	if err == nil && closing {
		err = c.t.drain()
	}
	o.bytes.Add(uint64(n))
	switch {
	case err != nil:
		err = c.fail(err)
	case closing:
		c.closeWritten()
	}
	o.lock()
	defer o.unlock()
	c.releaseLocked(err)
}

// takeQueued makes the caller the owner of the writing side and returns what is
// queued, nil if nothing is any more, or the owner that there is sees to it. closing
// tells that the close frame is in it.
func (c *Conn) takeQueued() (b *buffer, closing bool) {
	o := &c.out
	o.lock()
	defer o.unlock() // even if a hook panics
	o.flushing = false
	if o.turn.taken() {
		return nil, false
	}
	b = c.takeLocked(0)
	closing = o.queue != nil && o.queue.close != nil
	if closing {
		b = b.withRoom(len(o.queue.close))
		b.b = append(b.b, o.queue.close...)
		o.queue.pongs, o.queue.ping, o.queue.close = nil, nil, nil // nothing may follow it
	}
	if b != nil {
		o.turn.set(true)
		o.setWriting(len(b.b))
	}
	return b, closing
}
