package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// funcHandler is an EventHandler of functions, each of which may be nil.
type funcHandler = wstest.Handler[*Conn, MessageType]

// recorder is a handler that notes its events, and complains if they overlap or
// something follows the end.
type recorder struct {
	*wstest.Recorder[*Conn, MessageType]
}

func record(t testing.TB, on funcHandler) recorder { return recorder{wstest.Record(t, on)} }

// attach attaches c to l, with a recorder.
func attach(t testing.TB, l *Loop, c *Conn, on funcHandler) recorder {
	t.Helper()
	r := record(t, on)
	if err := l.Attach(c, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// want waits for the end, and compares its code and the messages before it.
func (r recorder) want(t testing.TB, code StatusCode, messages ...string) {
	t.Helper()
	if err := r.End(t, messages...); CloseCode(err) != code {
		t.Errorf("OnClose was told %v, want %v", err, code)
	}
}

// never is a handler that must not be called.
func never(t testing.TB) EventHandler { return wstest.Never[*Conn, MessageType](t) }

func newTestLoop(t testing.TB, workers int) *Loop {
	t.Helper()
	l, err := NewLoop(&LoopOptions{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// loopTransports are those of kinds that are on a loop, to be attached.
var loopTransports = kinds[len(transports):]

func pollableTLSPair(t testing.TB) (client, server net.Conn) {
	a, b := tcpPair(t)
	return tlsOver(t, transport.NewPollable(a), transport.NewPollable(b))
}

// TestScribble: with the build tag wsdebug a message is overwritten when its
// loan is over, and only then.
func TestScribble(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	p := []byte("on loan")
	s := &loopHandler{handler: funcHandler{Message: func(_ *Conn, _ MessageType, p []byte) {
		if string(p) != "on loan" {
			t.Errorf("the handler sees %q", p)
		}
	}}}
	s.message(client, Message{Text, p})
	if scribbled := string(p) != "on loan"; scribbled != scribble {
		t.Errorf("behind the handler the message is %q", p)
	}
}

// TestScribbleMessages is TestScribble for the body of a Messages loop, for messages in
// one frame and in two, and for the last one before a break.
func TestScribbleMessages(t *testing.T) {
	messages := []string{strings.Repeat("x", 200), "second", "third"}
	for name, sends := range map[string]func(c *Conn, p []byte) error{
		"whole": func(c *Conn, p []byte) error { return c.Write(bg, Text, p) },
		"in two frames": func(c *Conn, p []byte) error {
			w, err := c.Writer(bg, Text)
			if err != nil {
				return err
			}
			if _, err := w.Write(p[:1]); err != nil {
				return err
			}
			if _, err := w.Write(p[1:]); err != nil {
				return err
			}
			return w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := Pipe()
			defer client.CloseNow()
			defer server.CloseNow()
			sent := make(chan error, 1)
			go func() {
				for _, p := range messages {
					if err := sends(client, []byte(p)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			var kept [][]byte
			var seen []string
			for m, err := range server.Messages(bg) {
				if err != nil {
					t.Fatal(err)
				}
				kept, seen = append(kept, m.Data), append(seen, string(m.Data))
				if len(kept) == len(messages) {
					break
				}
			}
			if err := mustReceive(t, sent); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(seen, messages) {
				t.Errorf("the loop sees %q", seen)
			}
			if scribbled := string(kept[2]) != "third"; scribbled != scribble {
				t.Errorf("behind the loop the message is %q", kept[2])
			}
			if tail := kept[0][100:]; scribble && string(tail) != strings.Repeat("\xdb", len(tail)) { // later messages are shorter
				t.Errorf("behind its iteration the end of the first message is %q", tail)
			}
		})
	}
}

// echoHandler answers every message.
var echoHandler = funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}

// wakeServe makes a connection to a listener that was closed. Loop.Serve watches a
// duplicate of it, and notices that with a connection or within a second.
func wakeServe(ln net.Listener) {
	if nc, err := net.Dial(ln.Addr().Network(), ln.Addr().String()); err == nil {
		nc.Close()
	}
}

// serveLoop runs Loop.Serve, over TLS if wanted, and returns its URL.
func serveLoop(t *testing.T, l *Loop, opts *AcceptOptions, h EventHandler, secure bool) (url string, ln net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url, on := "ws://"+ln.Addr().String()+"/", ln
	if secure {
		url, on = "wss"+strings.TrimPrefix(url, "ws"), tls.NewListener(l.Listener(ln), testTLS())
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(on, opts, h) }()
	t.Cleanup(func() {
		l.Close()
		wakeServe(ln)
		if err := mustReceive(t, served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return url, ln
}

// insecure has Dial trust the certificate of the tests.
func insecure() *DialOptions {
	return &DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
}

// loopConns attaches a server's connection for h, and returns both ends.
func loopConns(t testing.TB, l *Loop, pair func(testing.TB) (net.Conn, net.Conn), h EventHandler, opts Options) (client, server *Conn) {
	t.Helper()
	a, b := pair(t)
	client = newConn(a, connConfig{client: true, opts: opts.withDefaults()})
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	t.Cleanup(func() { client.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// mustEcho sends a message and wants it back.
func mustEcho(t testing.TB, c *Conn, msg string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	if err := c.Write(ctx, Text, []byte(msg)); err != nil {
		t.Error(err)
		return
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != msg {
		t.Errorf("%q came back as %q, %v", msg, got, err)
	}
}

// overLoop runs f over every kind of connection on a loop of one worker, with a
// Conn that is not attached yet and the bare transport of its peer.
func overLoop(t *testing.T, f func(t *testing.T, l *Loop, c *Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newTestLoop(t, 1)
			c, peer := k.raw(t, false, Options{CloseTimeout: 2 * time.Second})
			f(t, l, c, peer)
		})
	}
}

// text is a text frame as a client sends it.
func text(p string) []byte { return frame(OpText, true, true, p) }

// answerClose answers the close frame and waits for the end.
func answerClose(peer net.Conn) {
	r := &frameReader{nc: peer}
	for {
		f, err := r.next()
		if err != nil {
			peer.Close()
			return
		}
		if f.Opcode == OpClose {
			peer.Write(frame(OpClose, true, true, f.payload))
		}
	}
}

// The behaviour tests read by what reads returns: the connection itself or, if
// it is on a loop, what its events are turned into.

type reader interface {
	Read(ctx context.Context) (MessageType, []byte, error)
}

func reads(c *Conn) reader {
	if r, ok := loopReaders.Load(c); ok {
		return r.(*loopReader)
	}
	return c
}

var loopReaders sync.Map // of *loopReader by *Conn

type loopReader = wstest.LoopReader[*Conn, MessageType]

// readOnLoop attaches c to l, to be read by reads(c).
func readOnLoop(t testing.TB, l *Loop, c *Conn) {
	t.Helper()
	t.Cleanup(func() { loopReaders.Delete(c) })
	loopReaders.Store(c, wstest.ReadOnLoop(t, c, func(r *loopReader) error { return l.Attach(c, r) }))
}

// atWork reports whether somebody reads from c, as a loop always does.
func atWork(c *Conn) bool { return c.in.readLock.onLoop() || c.in.readLock.busy() }

// TestReadOnLoop: every reading method of a connection that a loop reads
// returns an error, and does no harm.
func TestReadOnLoop(t *testing.T) {
	for _, tr := range loopTransports {
		t.Run(tr.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			a, b := tr.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			c := newConn(b, connConfig{opts: Options{}.withDefaults()})
			readOnLoop(t, l, c)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() { // at any moment
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						c.Read(bg)
					}
				}
			}()
			check := func(want error) {
				t.Helper()
				_, dst, err := c.ReadAppend(bg, []byte("dst"))
				if string(dst) != "dst" {
					t.Errorf("ReadAppend returns %q", dst)
				}
				errs := map[string]error{
					"Read":       third(c.Read(bg)),
					"ReadAppend": err,
					"Reader":     third(c.Reader(bg)),
					"NetConn":    second(c.NetConn(bg, Binary).Read(make([]byte, 1))),
				}
				for _, err := range c.Messages(bg) {
					errs["Messages"] = err
				}
				for name, err := range errs {
					if err != want {
						t.Errorf("%s: %v, want %v", name, err, want)
					}
				}
			}
			for i := range 100 {
				check(errOnLoop)
				if err := client.Write(bg, Text, []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
				if _, p, err := reads(c).Read(bg); err != nil || p[0] != byte(i) {
					t.Fatalf("%q, %v", p, err)
				}
			}
			close(stop)
			<-stopped
			client.Close(4000, "")
			_, _, err := reads(c).Read(bg)
			if CloseCode(err) != 4000 {
				t.Error(err)
			}
			check(err)
		})
	}
}

func TestAttachRefused(t *testing.T) {
	overLoop(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		if err := l.Attach(c, nil); err == nil {
			t.Error("a nil handler was taken")
		}
		ctx, cancel := context.WithCancel(bg)
		read := make(chan error)
		go func() { read <- third(c.Read(ctx)) }()
		until(t, "reader at work", c.in.readLock.busy)
		if err := l.Attach(c, never(t)); !errors.Is(err, ErrConcurrentRead) {
			t.Error("while a Read is under way:", err)
		}
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go c.Close(4000, "")
		<-c.Context().Done()
		if err := l.Attach(c, never(t)); CloseCode(err) != 4000 {
			t.Error("while it is closing:", err)
		}
		c.CloseNow()
		answerClose(peer)
		<-c.ended()
		if err := l.Attach(c, never(t)); CloseCode(err) != 4000 {
			t.Error("when it has ended:", err)
		}
		ctx, cancel = context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil {
			t.Error("something is left:", err)
		}
	})
}

// TestAttachWhenEnded: the connection ends after Attach has made it the loop's,
// and before the loop has begun with it. OnOpen comes first all the same.
func TestAttachWhenEnded(t *testing.T) {
	for _, k := range loopTransports {
		k.loop = false
		t.Run(k.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			// The only worker is in a handler of another connection meanwhile.
			other, otherPeer := k.raw(t, false, Options{})
			in, out := make(chan struct{}), make(chan struct{})
			attach(t, l, other, funcHandler{Message: func(*Conn, MessageType, []byte) { close(in); <-out }})
			otherPeer.Write(text("a"))
			<-in
			c, _ := k.raw(t, false, Options{})
			r := record(t, funcHandler{})
			s := &loopHandler{loop: l, handler: r}
			if err := l.enter(); err != nil {
				t.Fatal(err)
			}
			tr, err := l.engine.register(c, s)
			if err != nil {
				t.Fatal(err)
			}
			c.switchTransport(tr)
			c.CloseNow()
			l.start(c, s)
			close(out)
			r.want(t, StatusAbnormalClosure)
		})
	}
}

// TestAttachBehindHandshake: what came in one packet with the handshake, in
// every proportion.
func TestAttachBehindHandshake(t *testing.T) {
	wire := bytes.Join([][]byte{text("first"), text("second")}, nil)
	for _, k := range loopTransports {
		k.loop = false
		t.Run(k.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			for n := range len(wire) + 1 {
				peer, nc := k.pair(t)
				c := newConn(nc, connConfig{opts: Options{}.withDefaults(), early: bytes.Clone(wire[:n])})
				r := attach(t, l, c, funcHandler{})
				peer.Write(append(wire[n:len(wire):len(wire)], closeFrame(true, 1000, "")...))
				r.want(t, 1000, "first", "second")
				peer.Close()
			}
		})
	}
}
