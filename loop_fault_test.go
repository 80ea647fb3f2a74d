package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loopEcho sends messages back.
type loopEcho struct{ funcHandler }

func (loopEcho) OnMessage(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }

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

// One handler blocks: all others of its worker are served.
func TestLoopOneHandlerBlocks(t *testing.T) {
	const others = 1000
	l := newTestLoop(t, 1)
	entered, release := make(chan struct{}), make(chan struct{})
	blocked, _ := loopConns(t, l, tcpPair, funcHandler{message: func(c *Conn, typ MessageType, p []byte) {
		close(entered)
		<-release
		c.Write(bg, typ, p)
	}}, Options{})
	clients := make([]*Conn, others)
	for i := range clients {
		clients[i], _ = loopConns(t, l, tcpPair, loopEcho{}, Options{})
	}
	if err := blocked.Write(bg, Text, []byte("block")); err != nil {
		t.Fatal(err)
	}
	<-entered
	const rounds = 5
	took := make([]time.Duration, 0, others*rounds)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range rounds {
				for j := i; j < others; j += 4 {
					begin := time.Now()
					mustEcho(t, clients[j], fmt.Sprint("echo ", j))
					mu.Lock()
					took = append(took, time.Since(begin))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	close(release)
	if _, got, err := blocked.Read(bg); string(got) != "block" {
		t.Error(string(got), err)
	}
	slices.Sort(took)
	t.Logf("%d echoes beside a blocked handler: median %v, p99 %v, max %v", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// Half of the handlers block at the same time, and go on.
func TestLoopManyHandlersBlock(t *testing.T) {
	const conns, messages = 200, 20
	for _, tr := range loopTransports {
		t.Run(tr.name, func(t *testing.T) {
			l := newTestLoop(t, 2)
			before := len(ourGoroutines())
			release := make(chan struct{})
			var inside, closed sync.WaitGroup
			inside.Add(conns / 2)
			closed.Add(conns)
			clients := make([]*Conn, conns)
			for i := range clients {
				first := true
				clients[i], _ = loopConns(t, l, tr.pair, funcHandler{message: func(c *Conn, typ MessageType, p []byte) {
					if i%2 == 0 && first {
						inside.Done()
						<-release
					}
					first = false
					c.Write(bg, typ, p)
				}, close: func(*Conn, error) { closed.Done() }}, Options{})
			}
			for i, c := range clients {
				for j := range messages {
					if err := c.Write(bg, Text, fmt.Append(nil, i, " ", j)); err != nil {
						t.Fatal(err)
					}
				}
			}
			read := func(i int) {
				for j := range messages {
					if _, got, err := clients[i].Read(bg); err != nil || string(got) != fmt.Sprint(i, " ", j) {
						t.Fatalf("got %q, %v, want %d %d", got, err, i, j)
					}
				}
			}
			inside.Wait()
			for i := 1; i < conns; i += 2 {
				read(i)
			}
			close(release)
			for i := 0; i < conns; i += 2 {
				read(i)
			}
			for _, c := range clients {
				c.CloseNow()
			}
			closed.Wait()
			until(t, "as many goroutines as before", func() bool { return len(ourGoroutines()) <= before })
		})
	}
}

// A handler that fails ends its own connection, and OnClose is called once.
func TestLoopHandlerFails(t *testing.T) {
	faults := []struct {
		name   string
		fail   func()
		code   StatusCode // that the peer sees
		logged bool
	}{
		{"panic", func() { panic("fault of the test") }, StatusInternalError, true},
		{"abort", func() { panic(http.ErrAbortHandler) }, StatusAbnormalClosure, false},
		{"Goexit", runtime.Goexit, StatusInternalError, false},
	}
	for _, tr := range loopTransports {
		for _, f := range faults {
			for _, where := range []string{"OnOpen", "OnMessage", "OnClose", "OnMessage, after a while"} {
				t.Run(tr.name+"/"+f.name+"/"+where, func(t *testing.T) {
					l := newTestLoop(t, 1)
					var log syncBuffer
					opts := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
					other, _ := loopConns(t, l, tr.pair, loopEcho{}, opts)
					var closed atomic.Int32
					client, server := loopConns(t, l, tr.pair, funcHandler{
						func(*Conn) {
							if where == "OnOpen" {
								f.fail()
							}
						},
						func(*Conn, MessageType, []byte) {
							if strings.Contains(where, "while") {
								mustEcho(t, other, "meanwhile") // another runner has to come
							}
							if where != "OnClose" {
								f.fail()
							}
						},
						func(*Conn, error) {
							closed.Add(1)
							if where == "OnClose" {
								f.fail()
							}
						},
					}, opts)
					if where == "OnClose" {
						client.Close(StatusNormalClosure, "")
					} else {
						client.Write(bg, Text, []byte("hello"))
						if _, _, err := client.Read(bg); CloseCode(err) != f.code {
							t.Errorf("the peer gets %v, want %v", err, f.code)
						}
					}
					<-server.ended()
					until(t, "OnClose", func() bool { return closed.Load() == 1 })
					mustEcho(t, other, "afterwards")
					other.CloseNow()
					ctx, cancel := context.WithTimeout(bg, 10*time.Second)
					defer cancel()
					if err := l.Shutdown(ctx); err != nil {
						t.Error(err)
					}
					if closed.Load() != 1 {
						t.Errorf("OnClose was called %d times", closed.Load())
					}
					if got := strings.Contains(log.String(), "panic in an EventHandler"); got != f.logged {
						t.Errorf("logged %q", log.String())
					}
				})
			}
		}
	}
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Handlers attach connections, dial, write to others, and close others and
// their own.
func TestLoopHandlersReachOut(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, tr := range loopTransports {
			t.Run(fmt.Sprint(tr.name, " ", workers), func(t *testing.T) {
				l := newTestLoop(t, workers)
				srv := newWSServer(t, func(c *Conn) { l.Attach(c, loopEcho{}) })
				var mu sync.Mutex
				var members []*Conn
				all := func() []*Conn {
					mu.Lock()
					defer mu.Unlock()
					return slices.Clone(members)
				}
				var open, closed atomic.Int32
				var h funcHandler
				h = funcHandler{
					func(c *Conn) {
						open.Add(1)
						mu.Lock()
						defer mu.Unlock()
						members = append(members, c)
					},
					func(c *Conn, typ MessageType, p []byte) {
						switch string(p) {
						case "attach":
							a, b := tr.pair(t)
							if err := l.Attach(newConn(b, connConfig{opts: Options{}.withDefaults()}), h); err != nil {
								t.Error(err)
							}
							client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
							go func() {
								for {
									if _, _, err := client.Read(bg); err != nil {
										return
									}
								}
							}()
						case "dial":
							d, _, err := Dial(bg, srv, nil)
							if err != nil {
								t.Error(err)
								return
							}
							got := make(chan string, 1)
							l.Attach(d, funcHandler{message: func(d *Conn, _ MessageType, p []byte) {
								got <- string(p)
								d.Close(StatusNormalClosure, "")
							}})
							d.Write(bg, Text, []byte("from a handler"))
							if msg := <-got; msg != "from a handler" {
								t.Error(msg)
							}
						case "others":
							for _, other := range all() {
								if other != c {
									if err := other.Close(StatusNormalClosure, ""); err != nil {
										t.Error(err)
									}
								}
							}
						case "own":
							if err := c.Close(StatusNormalClosure, "own"); err != nil {
								t.Error(err)
							}
							return
						case "all":
							for _, c := range all() {
								c.Write(bg, Text, []byte("news"))
							}
						}
						c.Write(bg, typ, p)
					},
					func(*Conn, error) { closed.Add(1) },
				}
				client, _ := loopConns(t, l, tr.pair, h, Options{})
				for range 10 {
					mustEcho(t, client, "attach")
				}
				mustEcho(t, client, "dial")
				until(t, "all are open", func() bool { return open.Load() == 11 })
				client.Write(bg, Text, []byte("all"))
				for _, want := range []string{"news", "all"} {
					if _, got, err := client.Read(bg); string(got) != want {
						t.Errorf("got %q, %v", got, err)
					}
				}
				mustEcho(t, client, "others")
				client.Write(bg, Text, []byte("own"))
				if _, _, err := client.Read(bg); CloseCode(err) != StatusNormalClosure {
					t.Error(err)
				}
				until(t, "all are closed", func() bool { return closed.Load() == 11 })
			})
		}
	}
}

// newWSServer serves f and returns its address.
func newWSServer(t testing.TB, f func(*Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		f(c)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return "ws://" + ln.Addr().String()
}

// Descriptors are used again at a high rate while others write to connections
// that end: what is written reaches its connection or nobody.
func TestLoopDescriptorReuse(t *testing.T) {
	l := newTestLoop(t, 3)
	var mu sync.Mutex
	live := make(map[*Conn]string)
	h := func(name string) EventHandler {
		return funcHandler{
			func(c *Conn) {
				mu.Lock()
				defer mu.Unlock()
				live[c] = name
			},
			func(c *Conn, typ MessageType, p []byte) {
				if string(p) != name {
					t.Errorf("%q has come to %q", p, name)
				}
				c.Write(bg, typ, p)
			},
			func(c *Conn, _ error) {
				mu.Lock()
				delete(live, c)
				mu.Unlock()
				c.Write(bg, Text, []byte(name)) // to whoever has the descriptor now
			},
		}
	}
	done := make(chan struct{})
	var writers, churn sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				targets := make(map[*Conn]string, len(live))
				for c, name := range live {
					targets[c] = name
				}
				mu.Unlock()
				for c, name := range targets {
					c.Write(bg, Text, []byte(name))
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 4 {
		churn.Go(func() {
			for j := range 100 {
				name := fmt.Sprint(i, ".", j)
				a, b := tcpPair(t)
				client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
				server := newConn(b, connConfig{opts: Options{}.withDefaults()})
				if err := l.Attach(server, h(name)); err != nil {
					t.Error(err)
				}
				client.Write(bg, Text, []byte(name))
				for range j % 4 {
					if _, got, err := client.Read(bg); err != nil || string(got) != name {
						t.Errorf("%q got %q, %v", name, got, err)
					}
				}
				switch j % 3 {
				case 0:
					client.CloseNow()
				case 1:
					server.CloseNow()
					client.CloseNow()
				case 2:
					go server.startClose(StatusNormalClosure, "")
					for {
						_, got, err := client.Read(bg)
						if err != nil {
							break
						}
						if string(got) != name {
							t.Errorf("%q got %q", name, got)
						}
					}
				}
			}
		})
	}
	churn.Wait()
	close(done)
	writers.Wait()
}

// A connection that is attached while the loop ends is refused, or has its
// events from the first to the last.
func TestLoopAttachWhileEnding(t *testing.T) {
	for i := range 40 {
		l := newTestLoop(t, 2)
		tr := loopTransports[i%len(loopTransports)]
		var wg sync.WaitGroup
		var opened, closed, attached atomic.Int32
		begin := make(chan struct{})
		for range 8 {
			a, b := tr.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			server := newConn(b, connConfig{opts: Options{}.withDefaults()})
			go func() {
				for {
					if _, _, err := client.Read(bg); err != nil {
						return
					}
				}
			}()
			wg.Go(func() {
				var state atomic.Int32
				<-begin
				err := l.Attach(server, funcHandler{
					func(*Conn) { opened.Add(1); state.Store(1) },
					nil,
					func(*Conn, error) {
						if closed.Add(1); state.Load() != 1 {
							t.Error("OnClose before OnOpen")
						}
					},
				})
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					server.CloseNow()
					return
				}
				attached.Add(1)
				<-server.ended()
			})
		}
		close(begin)
		if i%2 == 0 {
			runtime.Gosched()
		}
		if i%4 < 2 {
			ctx, cancel := context.WithTimeout(bg, 10*time.Second)
			if err := l.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		} else {
			l.Close()
		}
		wg.Wait()
		until(t, "OnClose of all", func() bool { return closed.Load() == attached.Load() })
		if opened.Load() != attached.Load() {
			t.Errorf("%d attached, %d opened", attached.Load(), opened.Load())
		}
	}
}

// cutConn resets its connection after some bytes.
type cutConn struct {
	*net.TCPConn
	left atomic.Int64 // negative for no end
}

func (c *cutConn) Write(p []byte) (int, error) {
	left := c.left.Load()
	if left < 0 || int64(len(p)) < left {
		if left >= 0 {
			c.left.Add(-int64(len(p)))
		}
		return c.TCPConn.Write(p)
	}
	c.TCPConn.Write(p[:left])
	c.TCPConn.SetLinger(0)
	c.TCPConn.Close()
	return 0, io.ErrClosedPipe
}

// The peer resets the connection at every point of what it sends.
func TestLoopReset(t *testing.T) {
	stream := slices.Concat(
		frame(OpText, true, true, "one"),
		frame(OpText, false, true, "tw"),
		frame(OpPing, true, true, "ping"),
		frame(OpContinuation, true, true, "o"),
		frame(OpBinary, true, true, strings.Repeat("x", 300)),
		closeFrame(true, StatusNormalClosure, "bye"))
	states := map[string]func(c *Conn, release <-chan struct{}){
		"idle":    func(*Conn, <-chan struct{}) {},
		"queue":   func(c *Conn, _ <-chan struct{}) { go c.Write(bg, Binary, make([]byte, 8<<20)) },
		"closing": func(c *Conn, _ <-chan struct{}) { c.startClose(StatusGoingAway, "") },
		"blocked": func(_ *Conn, release <-chan struct{}) { <-release },
	}
	l := newTestLoop(t, 2)
	for _, overTLS := range []bool{false, true} {
		for name, state := range states {
			t.Run(fmt.Sprint(name, " ", overTLS), func(t *testing.T) {
				ends := len(stream)
				if overTLS {
					ends = 8 * 40 // records
				}
				for n := 0; n <= ends; n += 1 + n/60 {
					a, b := tcpPair(t)
					cut := &cutConn{TCPConn: a.(*net.TCPConn)}
					cut.left.Store(-1)
					var peer, nc net.Conn = cut, b
					if overTLS {
						peer, nc = tlsOver(t, cut, newPollable(b))
					}
					cut.left.Store(int64(n))
					server := newConn(nc, connConfig{opts: Options{}.withDefaults()})
					release, closed := make(chan struct{}), make(chan struct{})
					if err := l.Attach(server, funcHandler{
						func(c *Conn) { state(c, release) },
						func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) },
						func(*Conn, error) { close(closed) },
					}); err != nil {
						t.Fatal(err)
					}
					for p := range slices.Chunk(stream, 7) { // with TLS, a record for each
						if _, err := peer.Write(p); err != nil {
							break
						}
					}
					cut.SetLinger(0)
					cut.TCPConn.Close()
					close(release)
					select {
					case <-closed:
					case <-time.After(10 * time.Second):
						t.Fatalf("OnClose was not called after %d bytes", n)
					}
				}
			})
		}
	}
}
