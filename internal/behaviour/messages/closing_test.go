package messages_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// TestCloseTimeout closes towards peers that do not play along.
func TestCloseTimeout(t *testing.T) {
	for name, block := range map[string]bool{"peer ignores the close frame": false, "peer does not even read": true} {
		for _, client := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := bufpipe.New(1000)
					defer b.Close()
					c := conntest.New(t, a, client, websocket.Options{CloseTimeout: 3 * time.Second})
					if block {
						go c.Write(bg, websocket.Binary, make([]byte, 100_000))
						synctest.Wait()
					} else {
						go io.Copy(io.Discard, b)
					}
					start := time.Now()
					if err := c.Close(websocket.StatusNormalClosure, ""); err == nil {
						t.Error("no error")
					}
					if d := time.Since(start); d != 3*time.Second {
						t.Errorf("took %v", d)
					}
				})
			})
		}
	}
	conntest.OverAllRaw(t, false, websocket.Options{CloseTimeout: 50 * time.Millisecond}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		go c.Write(bg, websocket.Binary, make([]byte, 16<<20)) // fills the socket
		wstest.Until(t, "busy", func() bool { return c.Buffered() > 0 })
		start := time.Now()
		if err := c.Close(websocket.StatusNormalClosure, ""); err == nil {
			t.Error("no error")
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	done := make(chan struct{})
	note := func(what string) func(*websocket.Conn, websocket.Header) {
		return func(_ *websocket.Conn, h websocket.Header) {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(what + h.Opcode.String() + " ")
		}
	}
	a, b := bufpipe.New(1000)
	opts := websocket.Options{Trace: &websocket.Trace{FrameIn: note("<"), FrameOut: note(">"), Close: func(_ *websocket.Conn, err error) {
		if websocket.CloseCode(err) != websocket.StatusGoingAway {
			t.Error(err)
		}
		close(done)
	}}}
	client := conntest.New(t, a, true, websocket.Options{})
	server := conntest.New(t, b, false, opts)
	go conntest.EchoAll(server)
	client.Write(bg, websocket.Text, []byte("x"))
	client.Read(bg)
	client.Ping(bg)
	client.Close(websocket.StatusGoingAway, "")
	<-done
	mu.Lock()
	defer mu.Unlock()
	if got := log.String(); got != "<text >text <ping >pong <close >close " {
		t.Error(got)
	}
}

// stuck is a transport whose writes take no byte until their deadline.
type stuck struct {
	net.Conn
	on       atomic.Bool
	deadline chan time.Time
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.on.Load() {
		time.Sleep(time.Until(<-s.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	return s.Conn.Write(p)
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	if s.on.Load() && !t.IsZero() {
		select {
		case s.deadline <- t:
		default:
		}
	}
	return s.Conn.SetWriteDeadline(t)
}

// TestCloseNowOnTLS: crypto/tls would wait five seconds for room to say
// goodbye.
func TestCloseNowOnTLS(t *testing.T) {
	a, b := wstest.TCPPair(t)
	s := &stuck{Conn: b, deadline: make(chan time.Time, 1)}
	go func() {
		c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
		c.Handshake()
		io.Copy(io.Discard, c)
		c.Close()
	}()
	ts := tls.Server(s, wstest.Certificate())
	if err := ts.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := conntest.New(t, ts, false, websocket.Options{})
	s.on.Store(true)
	start := time.Now()
	c.CloseNow()
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}

// lateReturn is a transport whose writes arrive long before they return.
type lateReturn struct{ net.Conn }

func (l lateReturn) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	time.Sleep(time.Second)
	return n, err
}

// TestAnswerOvertakesWrite: the peer's close frame and the end of its stream
// are there before our own write of a close frame has returned.
func TestAnswerOvertakesWrite(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(1000)
			c := conntest.New(t, lateReturn{a}, client, websocket.Options{})
			go func() {
				if _, err := (&conntest.FrameReader{NC: b}).Next(); err != nil {
					t.Error(err)
				}
				b.Write(conntest.CloseFrame(!client, websocket.StatusNormalClosure, ""))
				b.Close()
			}()
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
}
