package websocket

import (
	"context"
	"fmt"
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

	"github.com/fullduplex-go/websocket/internal/wstest"
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
					var log wstest.Log
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
