package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket/internal/drain"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// EventHandler is told what happens on the connections of a [Loop]. For one
// connection its methods are called one at a time: OnOpen first, then OnMessage for
// each message, in order, and OnClose once, at the end, in every case. Different
// connections are handled at the same time, so a handler that several share must be
// safe for concurrent use.
//
// A method may block. It holds up the messages of its own connection, but no
// others: after a few milliseconds the loop goes on in another goroutine. A method
// that panics closes its connection with [StatusInternalError]; the panic is logged
// to Options.Logger.
type EventHandler interface {
	// OnOpen is called before any message is delivered.
	OnOpen(c *Conn)
	// OnMessage is called with each message. p is on loan until OnMessage
	// returns, and may be changed until then; with the build tag wsdebug it is
	// overwritten afterwards.
	//
	// Messages that the handler writes to c leave in one system call when all messages
	// that arrived together have been handled, or earlier if there are many.
	OnMessage(c *Conn, typ MessageType, p []byte)
	// OnClose is called when the connection has ended, with the [*CloseError]
	// that tells why.
	OnClose(c *Conn, err error)
}

// LoopOptions are the settings of a [Loop].
type LoopOptions struct {
	// Workers is how many goroutines share the connections. Zero means
	// GOMAXPROCS.
	Workers int

	// Logger receives the events that no call can return and that belong to no
	// connection; those of a connection go to its Options.Logger. Nil means
	// [slog.Default].
	Logger *slog.Logger
}

// ErrLoopClosed is returned by methods of a [Loop] after Shutdown or Close. It
// matches [net.ErrClosed].
var ErrLoopClosed error = loopClosed{}

type loopClosed struct{}

func (loopClosed) Error() string        { return "websocket: the loop is closed" }
func (loopClosed) Is(target error) bool { return target == net.ErrClosed }

// Loop reads from very many connections with few goroutines, and calls an
// [EventHandler]. A connection on it has no goroutine and no buffer while it is
// idle: it takes less than 400 bytes. Its reading methods return an error. All else
// is as without a loop: any goroutine may write, ping and close, and options have
// the same meaning.
//
// On Linux it works by epoll, for TCP and Unix sockets, and for TLS over them if
// the listener comes from [Loop.Listener], or the connection from [Dial], through a
// proxy or not, and not from the Transport's DialTLSContext. Other connections, and
// all of them on other systems, get a goroutine each, with the same events. The first
// TLS connection over a socket that gets one for want of Loop.Listener is logged.
type Loop struct {
	logger  *slog.Logger
	engine  *engine
	warnTLS sync.Once // says that TLS connections take a goroutine each, where they need not

	mu         sync.Mutex                      // guards what follows; never held while a Conn, a handler or a listener is called
	conns      map[*Conn]*loopHandler          // connections that the engine does not watch
	listeners  map[net.Listener]struct{}       // that Serve accepts from
	handshakes map[*blockingHandshake]struct{} // handshakes that the engine does not watch
	phase      serverPhase

	active drain.Group // connections whose OnClose has not returned, handshakes, and calls that make connections; closed by Shutdown
}

// serverPhase only ever grows.
type serverPhase uint8

const (
	phaseServing  serverPhase = iota
	phaseDraining             // no handshakes; connections are closed with 1001
	phaseCut                  // connections are cut
)

// NewLoop starts a loop, which runs until Shutdown or Close. A nil opts stands
// for the zero value.
func NewLoop(opts *LoopOptions) (*Loop, error) {
	var o LoopOptions
	if opts != nil {
		o = *opts
	}
	if o.Workers < 0 {
		return nil, fmt.Errorf("websocket: LoopOptions.Workers is %d", o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Loop{logger: o.Logger, listeners: make(map[net.Listener]struct{})}
	var err error
	if l.engine, err = newEngine(l, o.Workers); err != nil {
		return nil, fmt.Errorf("websocket: starting a loop: %w", err)
	}
	return l, nil
}

// Attach hands the reading of c over to the loop: from now on the methods of h are
// called for c. Attach may be called once for a connection, at any time, whether c
// is from [Accept] or from [Dial]; messages that have arrived already are
// delivered. It waits for a write that is under way. While another goroutine reads
// from c it returns [ErrConcurrentRead]. On Linux it needs a second descriptor for
// a moment, and a watch of epoll; if there is none left it returns an error of the
// system. After an error c is as it was, and h is never called for it.
func (l *Loop) Attach(c *Conn, h EventHandler) error {
	if h == nil {
		return errors.New("websocket: nil EventHandler")
	}
	return l.attach(c, &loopHandler{loop: l, handler: h})
}

func (l *Loop) attach(c *Conn, h *loopHandler) error {
	if err := l.enter(); err != nil {
		return err
	}
	if err := c.moveToLoop(h); err != nil {
		l.leave()
		return err
	}
	return nil
}

// moveToLoop makes c a connection of h's loop. It holds both halves while the
// transport changes.
func (c *Conn) moveToLoop(h *loopHandler) error {
	if err := c.beginRead(context.Background()); err != nil {
		return err
	}
	ahead, owns, err := c.beginWrite(context.Background(), anyStream, new(outFrame), false)
	if !owns {
		return c.endRead(context.Background(), err)
	}
	t, err := h.loop.engine.register(c, h)
	if err == nil {
		c.switchTransport(t)
	}
	c.abandonWrite(ahead)
	c.releaseRead()
	if err != nil {
		if cause := c.readError(); cause != nil { // it ended meanwhile
			return cause
		}
		return err
	}
	h.loop.start(c, h)
	return nil
}

// notAttached closes c, which a loop has refused with err.
func (c *Conn) notAttached(err error, logger *slog.Logger) {
	if errors.Is(err, net.ErrClosed) { // the loop is closed, or the connection is closing already
		logger.Debug("websocket: a Loop does not take a connection", "error", err)
		c.Close(StatusGoingAway, "")
		return
	}
	// There is no descriptor left, or no memory for a watch.
	logger.Error("websocket: a Loop cannot watch a connection", "error", err)
	c.Close(StatusTryAgainLater, "")
}

// switchTransport replaces the transport by t, unless t is nil, and gives the
// reading of c to a loop. The caller holds both halves. With t, keepalive is the
// loop's from here on.
func (c *Conn) switchTransport(t loopTransport) {
	l := &c.life
	l.mu.Lock()
	ended := l.over || l.closeState() == stateEnded
	if t != nil {
		c.t = t
		if l.timer != nil && l.cause.Load() == nil {
			l.timer.Stop()
			l.timer = nil
		}
	}
	c.in.readLock.setOnLoop()
	l.mu.Unlock()
	if ended && t != nil { // while it changed hands
		t.Terminate(true)
	}
}

// start starts the loop's work for c.
func (l *Loop) start(c *Conn, h *loopHandler) {
	if c.loopTransport() != nil {
		l.engine.start(c)
	} else {
		l.startServing(c, h)
	}
	switch l.currentPhase() { // it may have changed meanwhile
	case phaseDraining:
		c.startClose(StatusGoingAway, "")
	case phaseCut:
		c.cut(errLoopCut)
	}
}

var errLoopCut = errors.New("websocket: the loop was closed")

func (l *Loop) startServing(c *Conn, h *loopHandler) {
	l.mu.Lock()
	if l.conns == nil {
		l.conns = make(map[*Conn]*loopHandler)
	}
	l.conns[c] = h
	l.mu.Unlock()
	go h.serve(c)
}

// enter counts a connection in, unless the loop is closing. Each enter is
// followed by one leave, when the connection's OnClose has returned.
func (l *Loop) enter() error {
	if !l.active.Enter() {
		return ErrLoopClosed
	}
	return nil
}

func (l *Loop) leave() { l.active.Leave() }

// Shutdown ends the loop gently: from now on Attach and Serve return
// [ErrLoopClosed], listeners that Serve accepts from are closed, handshakes that
// are under way are cut, and all connections are closed with
// [StatusGoingAway]. It waits until all OnClose methods have returned, and then
// releases all that the loop has. It does not wait for
// [AcceptOptions.CheckOrigin]. If ctx ends first, the connections that are left
// are cut, and Shutdown returns the error of ctx without waiting for their
// handlers.
func (l *Loop) Shutdown(ctx context.Context) error {
	l.stop(phaseDraining)
	l.dropHandshakes()
	for _, c := range l.connsOf(nil) {
		c.startClose(StatusGoingAway, "")
	}
	if err := l.active.Wait(ctx); err != nil {
		l.Close()
		return err
	}
	l.engine.stop()
	return nil
}

// Close ends the loop at once: as Shutdown, but all connections are cut, and
// nothing is waited for. Resources in use by handlers that still run are released
// when they return.
func (l *Loop) Close() error {
	l.stop(phaseCut)
	l.dropHandshakes()
	for _, c := range l.connsOf(nil) {
		go c.cut(errLoopCut)
	}
	go func() {
		l.active.Wait(context.Background()) // it returns nil
		l.engine.stop()
	}()
	return nil
}

func (l *Loop) currentPhase() serverPhase {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase
}

// stop makes enter fail from now on, and closes the listeners.
func (l *Loop) stop(p serverPhase) {
	for _, ln := range l.stopEntry(p) {
		ln.Close()
	}
}

// stopEntry moves on to phase p, and returns the listeners that the caller is to
// close.
func (l *Loop) stopEntry(p serverPhase) []net.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = max(l.phase, p)
	l.active.Close()
	listeners := slices.Collect(maps.Keys(l.listeners))
	clear(l.listeners)
	return listeners
}

// connsOf returns the connections of h, or all if h is nil.
func (l *Loop) connsOf(h *loopHandler) []*Conn {
	conns := l.engine.conns(h)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, its := range l.conns {
		if h == nil || its == h {
			conns = append(conns, c)
		}
	}
	return conns
}

// Listener returns a listener for ln whose connections a loop can watch under TLS:
// pass it to [crypto/tls.NewListener] or [net/http.Server.ServeTLS]. Without TLS it
// is not needed.
func (l *Loop) Listener(ln net.Listener) net.Listener { return pollableListener{ln} }

type pollableListener struct{ net.Listener }

func (l pollableListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return transport.NewPollable(nc), nil
}
