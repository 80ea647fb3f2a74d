package loop_test

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

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// One handler blocks: all others of its worker are served.
func TestLoopOneHandlerBlocks(t *testing.T) {
	const others = 1000
	l := conntest.NewLoop(t, 1)
	entered, release := make(chan struct{}), make(chan struct{})
	blocked, _ := conntest.Attach(t, l, wstest.TCPPair, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
		close(entered)
		<-release
		c.Write(bg, typ, p)
	}}, websocket.Options{})
	clients := make([]*websocket.Conn, others)
	for i := range clients {
		clients[i], _ = conntest.Attach(t, l, wstest.TCPPair, conntest.Echo, websocket.Options{})
	}
	if err := blocked.Write(bg, websocket.Text, []byte("block")); err != nil {
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
					conntest.MustEcho(t, clients[j], fmt.Sprint("echo ", j))
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
	for _, tr := range conntest.LoopKinds {
		t.Run(tr.Name, func(t *testing.T) {
			l := conntest.NewLoop(t, 2)
			before := len(wstest.Goroutines())
			release := make(chan struct{})
			var inside, closed sync.WaitGroup
			inside.Add(conns / 2)
			closed.Add(conns)
			clients := make([]*websocket.Conn, conns)
			for i := range clients {
				first := true
				clients[i], _ = conntest.Attach(t, l, tr.Pair, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
					if i%2 == 0 && first {
						inside.Done()
						<-release
					}
					first = false
					c.Write(bg, typ, p)
				}, Close: func(*websocket.Conn, error) { closed.Done() }}, websocket.Options{})
			}
			for i, c := range clients {
				for j := range messages {
					if err := c.Write(bg, websocket.Text, fmt.Append(nil, i, " ", j)); err != nil {
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
			wstest.Until(t, "as many goroutines as before", func() bool { return len(wstest.Goroutines()) <= before })
		})
	}
}

// A handler that fails ends its own connection, and OnClose is called once.
func TestLoopHandlerFails(t *testing.T) {
	faults := []struct {
		name   string
		fail   func()
		code   websocket.StatusCode // that the peer sees
		logged bool
	}{
		{"panic", func() { panic("fault of the test") }, websocket.StatusInternalError, true},
		{"abort", func() { panic(http.ErrAbortHandler) }, websocket.StatusAbnormalClosure, false},
		{"Goexit", runtime.Goexit, websocket.StatusInternalError, false},
	}
	for _, tr := range conntest.LoopKinds {
		for _, f := range faults {
			for _, where := range []string{"OnOpen", "OnMessage", "OnClose", "OnMessage, after a while"} {
				t.Run(tr.Name+"/"+f.name+"/"+where, func(t *testing.T) {
					l := conntest.NewLoop(t, 1)
					var log wstest.Log
					opts := websocket.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
					other, _ := conntest.Attach(t, l, tr.Pair, conntest.Echo, opts)
					var closed atomic.Int32
					client, server := conntest.Attach(t, l, tr.Pair, conntest.Funcs(
						func(*websocket.Conn) {
							if where == "OnOpen" {
								f.fail()
							}
						},
						func(*websocket.Conn, websocket.MessageType, []byte) {
							if strings.Contains(where, "while") {
								conntest.MustEcho(t, other, "meanwhile") // another runner has to come
							}
							if where != "OnClose" {
								f.fail()
							}
						},
						func(*websocket.Conn, error) {
							closed.Add(1)
							if where == "OnClose" {
								f.fail()
							}
						},
					), opts)
					if where == "OnClose" {
						client.Close(websocket.StatusNormalClosure, "")
					} else {
						client.Write(bg, websocket.Text, []byte("hello"))
						if _, _, err := client.Read(bg); websocket.CloseCode(err) != f.code {
							t.Errorf("the peer gets %v, want %v", err, f.code)
						}
					}
					<-server.Context().Done()
					wstest.Until(t, "OnClose", func() bool { return closed.Load() == 1 })
					conntest.MustEcho(t, other, "afterwards")
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
		for _, tr := range conntest.LoopKinds {
			t.Run(fmt.Sprint(tr.Name, " ", workers), func(t *testing.T) {
				l := conntest.NewLoop(t, workers)
				srv := newWSServer(t, func(c *websocket.Conn) { l.Attach(c, conntest.Echo) })
				var mu sync.Mutex
				var members []*websocket.Conn
				all := func() []*websocket.Conn {
					mu.Lock()
					defer mu.Unlock()
					return slices.Clone(members)
				}
				var open, closed atomic.Int32
				var h conntest.Handler
				h = conntest.Funcs(
					func(c *websocket.Conn) {
						open.Add(1)
						mu.Lock()
						defer mu.Unlock()
						members = append(members, c)
					},
					func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
						switch string(p) {
						case "attach":
							a, b := tr.Pair(t)
							if err := l.Attach(conntest.New(t, b, false, websocket.Options{}), h); err != nil {
								t.Error(err)
							}
							client := conntest.New(t, a, true, websocket.Options{})
							go func() {
								for {
									if _, _, err := client.Read(bg); err != nil {
										return
									}
								}
							}()
						case "dial":
							d, _, err := websocket.Dial(bg, srv, nil)
							if err != nil {
								t.Error(err)
								return
							}
							got := make(chan string, 1)
							l.Attach(d, conntest.Handler{Message: func(d *websocket.Conn, _ websocket.MessageType, p []byte) {
								got <- string(p)
								d.Close(websocket.StatusNormalClosure, "")
							}})
							d.Write(bg, websocket.Text, []byte("from a handler"))
							if msg := <-got; msg != "from a handler" {
								t.Error(msg)
							}
						case "others":
							for _, other := range all() {
								if other != c {
									if err := other.Close(websocket.StatusNormalClosure, ""); err != nil {
										t.Error(err)
									}
								}
							}
						case "own":
							if err := c.Close(websocket.StatusNormalClosure, "own"); err != nil {
								t.Error(err)
							}
							return
						case "all":
							for _, c := range all() {
								c.Write(bg, websocket.Text, []byte("news"))
							}
						}
						c.Write(bg, typ, p)
					},
					func(*websocket.Conn, error) { closed.Add(1) },
				)
				client, _ := conntest.Attach(t, l, tr.Pair, h, websocket.Options{})
				for range 10 {
					conntest.MustEcho(t, client, "attach")
				}
				conntest.MustEcho(t, client, "dial")
				wstest.Until(t, "all are open", func() bool { return open.Load() == 11 })
				client.Write(bg, websocket.Text, []byte("all"))
				for _, want := range []string{"news", "all"} {
					if _, got, err := client.Read(bg); string(got) != want {
						t.Errorf("got %q, %v", got, err)
					}
				}
				conntest.MustEcho(t, client, "others")
				client.Write(bg, websocket.Text, []byte("own"))
				if _, _, err := client.Read(bg); websocket.CloseCode(err) != websocket.StatusNormalClosure {
					t.Error(err)
				}
				wstest.Until(t, "all are closed", func() bool { return closed.Load() == 11 })
			})
		}
	}
}

// newWSServer serves f and returns its address.
func newWSServer(t testing.TB, f func(*websocket.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
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
