package behaviour_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// rig is an engine of the library on a transport.
type rig struct {
	engine    string
	transport string
}

func (r rig) String() string { return r.engine + "/" + r.transport }

// The engines, which run the library's side of a connection.
const (
	onHandler = "handler" // Server.Handler, read by Messages
	onAccept  = "accept"  // Accept in a handler with defer c.CloseNow(), read by Read
	onServe   = "serve"   // Loop.Serve
	onEvents  = "events"  // Server{Events, Loop}
	onDial    = "dial"    // Dial, with defer c.CloseNow(), read by ReadAppend
)

var engines = []string{onHandler, onAccept, onServe, onEvents, onDial}

// On "bare" the library's side is TCP without deadlines.
var transports = []string{"tcp", "tls", "unix", "bare"}

// loop reports whether a Loop reads.
func (r rig) loop() bool { return r.engine == onServe || r.engine == onEvents }

// queues reports whether a write never waits, because the loop queues bytes that a
// socket does not take. Without deadlines there is no socket.
func (r rig) queues() bool { return r.loop() && r.transport != "bare" }

// everywhere runs f over every engine and transport.
func everywhere(t *testing.T, f func(t *testing.T, r rig)) {
	for _, e := range engines {
		for _, tr := range transports {
			r := rig{e, tr}
			t.Run(r.String(), func(t *testing.T) {
				checkLeaks(t)
				f(t, r)
			})
		}
	}
}

// site is a rig at work: its connections all have the same options and program.
type site struct {
	t       *testing.T
	rig     rig
	opts    websocket.Options
	program program
	ctx     context.Context   // that readers read with
	dialer  net.Dialer        // of either side
	ln      net.Listener      // the library's, or the peers' if the library dials
	ws      *websocket.Server // of onHandler and onEvents
	loop    *websocket.Loop   // of onServe and onEvents
	client  *http.Client      // of onDial
	libs    sync.Map          // from path to *lib
	conns   sync.Map          // from *Conn to *lib
	n       atomic.Int64      // connections so far
}

// quiet discards the library's log of errors that tests provoke.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// calm are options without keepalive, so that tests judge the ends they cause.
func calm() websocket.Options {
	return websocket.Options{PingInterval: -1, ReadLimit: 64 << 10, CloseTimeout: patience, Logger: quiet}
}

// start starts the rig. The test's cleanup ends all that belongs to it.
func (r rig) start(t *testing.T, opts websocket.Options, p program) *site {
	t.Helper()
	return r.startWith(t, opts, p, false)
}

// startSmall is start with small buffers in the kernel.
func (r rig) startSmall(t *testing.T, opts websocket.Options, p program) *site {
	t.Helper()
	return r.startWith(t, opts, p, true)
}

func (r rig) startWith(t *testing.T, opts websocket.Options, p program, small bool) *site {
	t.Helper()
	s := &site{t: t, rig: r, opts: opts, program: p, ctx: context.Background()}
	if opts.Trace == nil {
		s.opts.Trace = &websocket.Trace{Close: s.traceClose}
	}
	network, addr := "tcp", "127.0.0.1:0"
	if r.transport == "unix" {
		dir, err := os.MkdirTemp("", "ws") // a short path, as sockets need
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		network, addr = "unix", filepath.Join(dir, "s")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	if small && r.transport != "unix" {
		rc, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		setBuffers(t, rc)
		s.dialer.Control = func(_, _ string, rc syscall.RawConn) error { setBuffers(t, rc); return nil }
	}
	if ul, ok := ln.(interface{ SetUnlinkOnClose(bool) }); ok { // plan9 has no such method
		ul.SetUnlinkOnClose(false)
	}
	if r.loop() {
		if s.loop, err = websocket.NewLoop(&websocket.LoopOptions{Workers: 2, Logger: quiet}); err != nil {
			t.Fatal(err)
		}
		if r.transport == "tls" {
			s.ln = s.loop.Listener(s.ln)
		}
	}
	if r.transport == "tls" {
		s.ln = tls.NewListener(s.ln, certificate())
	}
	if r.transport == "bare" && r.engine != onDial {
		s.ln = bareListener{s.ln}
	}
	s.listen()
	t.Cleanup(s.abandon)
	return s
}

// listen starts the engine's server, if it has one.
func (s *site) listen() {
	accept := websocket.AcceptOptions{Options: s.opts}
	var h http.Handler
	switch s.rig.engine {
	case onServe:
		done := do(func() error { return s.loop.Serve(s.ln, &accept, events{s}) })
		s.t.Cleanup(func() {
			s.ln.Close()
			if nc, err := net.Dial(s.ln.Addr().Network(), s.ln.Addr().String()); err == nil {
				nc.Close() // Serve has a duplicate, and notices with a connection or in a second
			}
			wait(s.t, "Loop.Serve", done)
		})
		return
	case onDial:
		s.client = s.newClient()
		s.t.Cleanup(func() { s.ln.Close() })
		return
	case onHandler:
		s.ws = &websocket.Server{AcceptOptions: accept, Handler: func(c *websocket.Conn) { s.find(c).run(c, readMessages(c)) }}
		h = s.ws
	case onEvents:
		s.ws = &websocket.Server{AcceptOptions: accept, Loop: s.loop, Events: events{s}}
		h = s.ws
	case onAccept:
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, &accept)
			if err != nil {
				s.t.Error(err)
				return
			}
			defer c.CloseNow()
			s.find(c).run(c, c.Read)
		})
	}
	web := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	ln := s.ln
	if s.rig.transport == "bare" {
		ln = websocket.DeadlineListener(ln)
	}
	done := do(func() error { return web.Serve(ln) })
	s.t.Cleanup(func() {
		web.Close()
		wait(s.t, "http.Server.Serve", done)
	})
}

func (s *site) newClient() *http.Client {
	dial := s.dialer.DialContext
	if s.rig.transport == "bare" {
		dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := s.dialer.DialContext(ctx, network, addr)
			return bare{nc}, err
		}
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:     dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// abandon closes everything that a test has left open, without checks.
func (s *site) abandon() {
	s.libs.Range(func(_, v any) bool {
		l := v.(*lib)
		l.letGo()
		if c := l.conn.Load(); c != nil {
			c.CloseNow()
		}
		if l.peer != nil {
			l.peer.raw.Close()
		}
		return true
	})
	if s.ws != nil {
		s.ws.Close()
	}
	if s.loop != nil {
		s.loop.Close()
	}
}

func (s *site) find(c *websocket.Conn) *lib {
	v, ok := s.libs.Load(c.Request().URL.Path)
	if !ok {
		panic("unknown path " + c.Request().URL.Path)
	}
	s.conns.Store(c, v)
	return v.(*lib)
}

func (s *site) traceClose(c *websocket.Conn, err error) {
	if v, ok := s.conns.Load(c); ok {
		l := v.(*lib)
		l.mu.Lock()
		l.traced = append(l.traced, err)
		l.mu.Unlock()
	}
}

// connect makes a connection. The peer is idle: it receives only by record or next.
func (s *site) connect() (*peer, *lib) {
	s.t.Helper()
	p, l, err := s.tryConnect()
	if err != nil {
		s.t.Fatal(err)
	}
	return p, l
}

func (s *site) tryConnect() (p *peer, l *lib, err error) {
	path := fmt.Sprintf("/%d", s.n.Add(1))
	l = newLib(s)
	deflate := s.opts.Compression != nil
	if s.rig.engine == onDial {
		p, err = s.dial(l, path, deflate)
	} else {
		s.libs.Store(path, l)
		if p, err = dialPeer(s.t, &s.dialer, s.ln.Addr(), s.rig.transport == "tls"); err != nil {
			return nil, nil, err
		}
		l.peer = p
		err = p.ask(path, deflate)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	select {
	case <-l.opened:
	case <-time.After(patience):
		return nil, nil, fmt.Errorf("the connection of %s was not opened", path)
	}
	return p, l, nil
}

// dialing lets one Dial and one Accept at a time find each other.
var dialing sync.Mutex

func (s *site) dial(l *lib, path string, deflate bool) (*peer, error) {
	dialing.Lock()
	defer dialing.Unlock()
	type accepted struct {
		p   *peer
		err error
	}
	ch := do(func() accepted {
		nc, err := s.ln.Accept()
		if err != nil {
			return accepted{err: err}
		}
		p := &peer{t: s.t, nc: nc, raw: nc}
		if tc, ok := nc.(*tls.Conn); ok {
			p.raw = tc.NetConn()
		}
		nc.SetDeadline(time.Now().Add(2 * patience))
		return accepted{p, p.answer(deflate)}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, s.url(path), &websocket.DialOptions{Options: s.opts, HTTPClient: s.client})
	if err != nil {
		return nil, err
	}
	a := <-ch
	l.peer = a.p
	l.conn.Store(c)
	s.conns.Store(c, l)
	s.libs.Store(path, l)
	go func() {
		defer c.CloseNow()
		defer l.recover()
		var buf []byte
		l.run(c, func(ctx context.Context) (typ websocket.MessageType, p []byte, err error) {
			typ, buf, err = c.ReadAppend(ctx, buf[:0])
			return typ, buf, err
		})
	}()
	return a.p, a.err
}

func (s *site) url(path string) string {
	addr := s.ln.Addr().String()
	switch s.rig.transport {
	case "tls":
		return "wss://" + addr + path
	case "unix":
		return "ws+unix://" + addr + ":" + path
	}
	return "ws://" + addr + path
}

var certificate = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})
