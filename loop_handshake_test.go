package websocket

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// requestWithOrigin is a handshake that CheckOrigin is asked about.
func requestWithOrigin() string {
	return wstest.NewRequest().Add("Origin: https://example.com").String()
}

// clientOf dials ln, with TLS if wanted.
func clientOf(t *testing.T, ln net.Listener, secure bool) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	return nc
}

// newQuietLoop returns a loop that does not log panics.
func newQuietLoop(t *testing.T) *Loop {
	t.Helper()
	l, err := NewLoop(&LoopOptions{Workers: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// loopEnds are the ways to end a loop. They report what was returned when that
// has waited for all that it is to wait for.
var loopEnds = []struct {
	name string
	end  func(*Loop) error
}{
	{"Shutdown", func(l *Loop) error { return l.Shutdown(context.Background()) }},
	{"Close", func(l *Loop) error {
		l.Close()
		return l.Shutdown(context.Background())
	}},
}

// TestLoopEndsBesideCheckOrigin: a CheckOrigin that takes its time is not waited
// for. When it returns, its connection is gone, and the descriptor that it had
// is somebody else's.
func TestLoopEndsBesideCheckOrigin(t *testing.T) {
	results := map[string]func() bool{
		"true":   func() bool { return true },
		"false":  func() bool { return false },
		"panic":  func() bool { panic("fault of the test") },
		"Goexit": func() bool { runtime.Goexit(); return true },
	}
	for _, secure := range []bool{false, true} {
		for _, way := range loopEnds {
			for result, f := range results {
				if way.name == "Shutdown" && result != "true" {
					continue // all are the same to it
				}
				t.Run(strings.Join([]string{map[bool]string{false: "clear", true: "TLS"}[secure], way.name, result}, "/"), func(t *testing.T) {
					l := newQuietLoop(t)
					asked, released, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
					release := sync.OnceFunc(func() { close(released) })
					defer release()
					_, ln := serveLoop(t, l, &AcceptOptions{CheckOrigin: func(*http.Request) bool {
						close(asked)
						<-released
						defer close(answered)
						return f()
					}}, never(t), secure)
					nc := clientOf(t, ln, secure)
					if _, err := io.WriteString(nc, requestWithOrigin()); err != nil {
						t.Fatal(err)
					}
					mustReceive(t, asked)
					ended := make(chan error, 1)
					go func() { ended <- way.end(l) }()
					if err := mustReceive(t, ended); err != nil {
						t.Error(err)
					}
					if got, err := io.ReadAll(nc); len(got) > 0 {
						t.Errorf("the client was answered %q, %v", got, err)
					}
					a, b := tcpPair(t) // they take the numbers that are free
					defer a.Close()
					defer b.Close()
					release()
					mustReceive(t, answered)
					until(t, "the handshake's goroutine is gone", func() bool {
						all := strings.Join(ourGoroutines(), "\n")
						return !strings.Contains(all, "(*pendingHandshake)") && !strings.Contains(all, "(*acceptor).serveHandshake")
					})
					a.Write([]byte("a"))
					b.Write([]byte("b"))
					a.(*net.TCPConn).CloseWrite()
					b.(*net.TCPConn).CloseWrite()
					for _, end := range []struct {
						nc   net.Conn
						want string
					}{{a, "b"}, {b, "a"}} {
						end.nc.SetDeadline(time.Now().Add(10 * time.Second))
						if got, err := io.ReadAll(end.nc); string(got) != end.want || err != nil {
							t.Errorf("on a connection that came later: %q, %v, want %q", got, err, end.want)
						}
					}
				})
			}
		}
	}
}

// patient is a connection without deadlines: only Close ends a Read.
type patient struct{ net.Conn }

func (patient) SetDeadline(time.Time) error      { return nil }
func (patient) SetReadDeadline(time.Time) error  { return nil }
func (patient) SetWriteDeadline(time.Time) error { return nil }

type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return patient{nc}, nil
}

// TestLoopEndsBesideSilence: a client that connects and says nothing, or half of
// what it should say, is not waited for.
func TestLoopEndsBesideSilence(t *testing.T) {
	half := requestWithOrigin()[:20]
	for _, way := range loopEnds {
		for name, tt := range map[string]struct {
			listen func(net.Listener) net.Listener
			secure bool   // the client says half of its request under TLS
			said   string // else in clear
		}{
			"silent TLS":  {func(ln net.Listener) net.Listener { return tls.NewListener(patientListener{ln}, testTLS()) }, false, ""},
			"broken TLS":  {func(ln net.Listener) net.Listener { return tls.NewListener(patientListener{ln}, testTLS()) }, false, "\x16\x03\x01\x01\x00"},
			"TLS request": {func(ln net.Listener) net.Listener { return tls.NewListener(patientListener{ln}, testTLS()) }, true, half},
			"foreign":     {func(ln net.Listener) net.Listener { return patientListener{ln} }, false, half},
			"clear":       {func(ln net.Listener) net.Listener { return ln }, false, half},
		} {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				l := newTestLoop(t, 1)
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- l.Serve(tt.listen(ln), nil, never(t)) }()
				nc := clientOf(t, ln, tt.secure)
				if _, err := io.WriteString(nc, tt.said); err != nil {
					t.Fatal(err)
				}
				until(t, "the handshake is under way", func() bool {
					l.mu.Lock()
					defer l.mu.Unlock()
					return l.active.Count() == 1
				})
				ended := make(chan error, 1)
				go func() { ended <- way.end(l) }()
				if err := mustReceive(t, ended); err != nil {
					t.Error(err)
				}
				if got, _ := io.ReadAll(nc); len(got) > 0 {
					t.Errorf("the client was told %q", got)
				}
				wakeServe(ln)
				if err := mustReceive(t, served); err != ErrLoopClosed {
					t.Error(err)
				}
			})
		}
	}
}

// askingListener calls the loop when it is closed.
type askingListener struct {
	net.Listener
	loop *Loop
}

func (l askingListener) Close() error {
	l.loop.Attach(nil, funcHandler{}) // refused: the loop is closing
	return l.Listener.Close()
}

// TestLoopClosesListenersUnlocked: a listener may call the loop that closes it.
func TestLoopClosesListenersUnlocked(t *testing.T) {
	for _, way := range loopEnds {
		t.Run(way.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- l.Serve(askingListener{ln, l}, nil, never(t)) }()
			until(t, "serving", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return len(l.listeners) == 1
			})
			ended := make(chan error, 1)
			go func() { ended <- way.end(l) }()
			if err := mustReceive(t, ended); err != nil {
				t.Error(err)
			}
			if err := mustReceive(t, served); err != ErrLoopClosed {
				t.Error(err)
			}
		})
	}
}

// TestLoopCheckOriginExits: a CheckOrigin that ends its goroutine, or panics, ends
// its connection without an answer, and nothing else.
func TestLoopCheckOriginExits(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for name, exit := range map[string]func(){"panic": func() { panic("fault of the test") }, "Goexit": runtime.Goexit} {
			t.Run(name, func(t *testing.T) {
				l := newQuietLoop(t)
				_, ln := serveLoop(t, l, &AcceptOptions{CheckOrigin: func(*http.Request) bool { exit(); return true }}, never(t), secure)
				nc := clientOf(t, ln, secure)
				if _, err := io.WriteString(nc, requestWithOrigin()); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(nc); len(got) > 0 || err != nil {
					t.Errorf("the client was told %q, %v, want the end", got, err)
				}
				until(t, "nothing is left", func() bool {
					l.mu.Lock()
					defer l.mu.Unlock()
					return l.active.Count() == 0
				})
			})
		}
	}
}

// TestLoopRequestWithoutDeadlines: a client that says half of its request is given
// up, also on a connection without deadlines, and cut by Close.
func TestLoopRequestWithoutDeadlines(t *testing.T) {
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(pipeSize)
			l := &Loop{handshakes: make(map[*blockingHandshake]struct{})}
			acc := &acceptor{handler: &loopHandler{loop: l}}
			h := l.beginHandshake(transport.WithDeadlines(wstest.NoDeadlines{Conn: b}))
			begin := time.Now()
			go acc.serveHandshake(h)
			io.WriteString(a, "GET / HTTP/1.1\r\nHost: ")
			if cut {
				synctest.Wait()
				h.cut()
			}
			answer, err := io.ReadAll(a)
			want := "HTTP/1.1 408 "
			if cut {
				want = ""
			}
			if err != nil || len(answer) < len(want) || string(answer[:len(want)]) != want || cut && len(answer) > 0 {
				t.Errorf("answer %q, %v", answer, err)
			}
			if d := time.Since(begin); cut && d != 0 || !cut && d != handshakeTimeout {
				t.Errorf("it took %v", d)
			}
			a.Close()
		})
	}
}
