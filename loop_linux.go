//go:build !ws_unix && !ws_plain

package websocket

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// engine watches the descriptors of a loop's connections. It has some workers, each
// with an epoll instance, a monitor that replaces a runner which a handler holds
// up, and a sweeper for keepalive.
type engine struct {
	loop    *Loop
	workers []*worker
	next    atomic.Uint32 // the worker of the next connection, modulo their number
	table   table
	monitor monitor
	sweeper sweeper
	stopped sync.Once
}

func newEngine(l *Loop, workers int) (*engine, error) {
	e := &engine{loop: l}
	e.monitor.init(e)
	for range workers {
		w := &worker{engine: e}
		var err error
		if w.poll, err = epoll.New(); err != nil {
			for _, w := range e.workers {
				w.poll.Close()
			}
			return nil, err
		}
		w.clock.Store(monotonic())
		e.workers = append(e.workers, w)
	}
	for _, w := range e.workers {
		w.replace()
	}
	go e.monitor.run()
	return e, nil
}

// stop releases everything. There are no connections any more. A second call does
// nothing.
func (e *engine) stop() {
	e.stopped.Do(func() {
		e.monitor.stop()
		e.sweeper.stop()
		for _, w := range e.workers {
			w.mu.Lock()
			w.stopped = true
			w.wakeLocked()
			w.mu.Unlock()
		}
	})
}

// conns returns the connections of h, or all if h is nil.
func (e *engine) conns(h *loopHandler) (all []*Conn) {
	e.table.each(func(p *pollConn) {
		if h == nil || p.handler == h {
			all = append(all, p.conn)
		}
	})
	return all
}

// table finds a pollConn by its descriptor. It is read without a lock.
type table struct {
	mu     sync.Mutex
	chunks atomic.Pointer[[]*tableChunk] // replaced when it grows
}

type tableChunk [1024]atomic.Pointer[pollConn]

func (t *table) get(fd int) *pollConn {
	chunks := t.chunks.Load()
	if chunks == nil || fd/len(tableChunk{}) >= len(*chunks) {
		return nil
	}
	return (*chunks)[fd/len(tableChunk{})][fd%len(tableChunk{})].Load()
}

func (t *table) set(fd int, p *pollConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var chunks []*tableChunk
	if old := t.chunks.Load(); old != nil {
		chunks = *old
	}
	if i := fd / len(tableChunk{}); i >= len(chunks) {
		larger := append([]*tableChunk(nil), chunks...)
		for len(larger) <= i {
			larger = append(larger, new(tableChunk))
		}
		chunks = larger
		t.chunks.Store(&larger)
	}
	chunks[fd/len(tableChunk{})][fd%len(tableChunk{})].Store(p)
}

func (t *table) each(f func(*pollConn)) {
	chunks := t.chunks.Load()
	if chunks == nil {
		return
	}
	for _, chunk := range *chunks {
		for i := range chunk {
			if p := chunk[i].Load(); p != nil {
				f(p)
			}
		}
	}
}

// worker is an epoll instance with the connections that it watches. One goroutine
// works for it, the runner. When a handler holds up the runner, another one takes
// its place.
type worker struct {
	engine *engine
	poll   *epoll.Poller
	runner atomic.Pointer[runner]
	clock  atomic.Int64 // the time by monotonic, when events were last waited for
	asleep atomic.Bool  // the runner waits, or is about to, without having seen posts
	spread spread

	writeWaiters writeWaiters

	mu         sync.Mutex // guards what follows
	posts      []post
	stopped    bool
	handshakes map[int]*pendingHandshake // handshakes under way, by descriptor
	reaper     *time.Timer               // nil if there are none
}

// post is a task for a connection that no event reports.
type post struct {
	p    *pollConn
	what task
}

type task uint8

const (
	taskOpen  task = iota // call OnOpen, and check for input
	taskInput             // check for input
	taskClose             // call OnClose
)

func (w *worker) post(p *pollConn, what task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts = append(w.posts, post{p, what})
	w.wakeLocked()
}

// wakeLocked wakes the runner if it waits. The caller holds the lock because the
// poller may be closed as soon as the runner has seen the post.
func (w *worker) wakeLocked() {
	if w.asleep.CompareAndSwap(true, false) {
		w.poll.Wake()
	}
}

// close releases the poller. Late calls may still post.
func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asleep.Store(false) // wakeLocked does nothing any more
	w.poll.Close()
}

// nextPost removes and returns the oldest post.
func (w *worker) nextPost() (post, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.posts) == 0 {
		return post{}, false
	}
	next := w.posts[0]
	w.posts[0] = post{}
	if w.posts = w.posts[1:]; len(w.posts) == 0 {
		w.posts = nil
	}
	return next, true
}

// posted reports whether there are posts, and whether the worker is to end.
func (w *worker) posted() (some, stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.posts) > 0, w.stopped
}

// replace starts a new runner, which takes over from the present one.
func (w *worker) replace() {
	r := &runner{worker: w}
	w.runner.Store(r)
	go r.run()
}

// runner is a goroutine that works for a worker, as long as it is its runner.
type runner struct {
	worker *worker
	// state is twice the number of connections that it has handled, plus one while it
	// handles one; or replaced.
	state  atomic.Uint64
	seen   uint64    // state at the last check of the monitor
	cur    *pollConn // the connection that it handles
	spread bool      // the handlers of this batch of events get goroutines
	events [128]epoll.Event
}

const replaced = ^uint64(0)

// run works until the worker ends or another runner takes over. A handler may end
// the goroutine by runtime.Goexit; then another runner is started.
func (r *runner) run() {
	w := r.worker
	returned := false
	defer func() {
		if !returned {
			r.abandoned()
		}
	}()
	for {
		w.asleep.Store(true)
		some, stopped := w.posted()
		if stopped {
			break
		}
		n, err := w.poll.Wait(r.events[:], !some)
		w.asleep.Store(false)
		if err != nil {
			w.engine.loop.logger.Error("websocket: waiting for events", "error", err)
			time.Sleep(time.Second) // no reason for this is known, nor a better way
		}
		w.clock.Store(monotonic())
		r.spread = w.spread.on.Load()
		for i := range r.events[:n] {
			ev := &r.events[i]
			// An event is a hint. The descriptor may belong to another connection by
			// now; that is harmless unless it is another worker's.
			p := w.engine.table.get(int(ev.Fd))
			if p == nil || p.worker != w {
				if s := w.handshakeOn(int(ev.Fd)); s != nil {
					s.ready()
				}
				continue
			}
			if !r.handle(p, post{}, ev.Events) {
				returned = true
				return
			}
		}
		if n > 0 {
			// The system calls above do not yield the processor. Let other goroutines
			// run here, if there are more of them than processors.
			runtime.Gosched()
		}
		for some {
			next, ok := w.nextPost()
			if !ok {
				break
			}
			if !r.handle(next.p, next, 0) {
				returned = true
				return
			}
		}
	}
	returned = true
	w.close()
}

// handle does a post or handles events for p, and reports whether r is still its
// worker's runner.
func (r *runner) handle(p *pollConn, todo post, events uint32) bool {
	busy := r.state.Load() + 1
	r.cur = p
	r.state.Store(busy)
	r.worker.engine.monitor.busy()
	switch {
	case r.spread:
		r.worker.handleApart(p, todo, events)
	case todo.p != nil:
		p.do(todo.what)
	default:
		p.ready(events)
	}
	if r.state.CompareAndSwap(busy, busy+1) {
		r.cur = nil
		return true
	}
	p.finishDetached()
	return false
}

// abandoned ends r, whose goroutine a handler has ended.
func (r *runner) abandoned() {
	p := r.cur
	if s := r.state.Load(); s != replaced {
		r.handOver(s)
	}
	p.conn.startClose(StatusInternalError, "")
	p.finishDetached()
}

// handOver replaces r by another runner if r still handles the connection that it
// handled in the state seen, and reports whether it has.
func (r *runner) handOver(seen uint64) bool {
	w := r.worker
	w.mu.Lock() // r waits for it in finishDetached, so that setBusy comes before the flag is cleared
	if !r.state.CompareAndSwap(seen, replaced) {
		w.mu.Unlock()
		return false
	}
	p := r.cur
	p.setBusy()
	w.replace()
	w.mu.Unlock()
	p.uncork()
	if p.conn.needsControlReader() { // the control frames may have been read into the buffer already
		p.checkInput()
	}
	return true
}

// register makes a transport for c that the engine watches, or returns nil if the
// engine cannot watch c. The caller holds both halves of c. After an error, for
// lack of descriptors or watches, c's transport is as it was.
func (e *engine) register(c *Conn, h *loopHandler) (loopTransport, error) {
	switch nc := transport.Under(c.t).(type) {
	case *net.TCPConn, *net.UnixConn:
		rc, err := nc.(syscall.Conn).SyscallConn()
		if err != nil {
			return nil, nil
		}
		p, err := e.newPollConn(c, h, rc)
		if err != nil {
			return nil, err
		}
		nc.Close()
		return p, nil
	case *tls.Conn:
		return e.registerTLS(c, h, nc)
	}
	return nil, nil
}

// newPollConn makes a transport for c on a duplicate of the descriptor rc. It
// registers the transport with a worker's poller, since that may fail, and for
// input at once: ready ignores events until OnOpen is called.
func (e *engine) newPollConn(c *Conn, h *loopHandler, rc syscall.RawConn) (*pollConn, error) {
	fd, err := epoll.Duplicate(rc)
	if err != nil {
		return nil, err
	}
	p := new(pollConn)
	p.init(c, h, fd, e.nextWorker())
	p.state.set(pollIn)
	if err := p.worker.poll.Add(fd, epoll.In); err != nil {
		epoll.Close(fd)
		return nil, err
	}
	return p, nil
}

// nextWorker returns the worker for the next connection.
func (e *engine) nextWorker() *worker {
	return e.workers[e.next.Add(1)%uint32(len(e.workers))]
}

// start begins the work for c, whose transport the engine has made.
func (e *engine) start(c *Conn) {
	p := pollConnOf(c.t.(loopTransport))
	e.sweeper.include(e, c.opts)
	p.mu.Lock()
	if p.fd >= 0 { // it may have ended
		e.table.set(int(p.fd), p)
	}
	p.mu.Unlock()
	p.worker.post(p, taskOpen)
}
