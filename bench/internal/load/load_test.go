//go:build linux

package load

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// serve runs a server whose handler gets the connections of "/", and which
// broadcasts on "/broadcast".
func serve(t *testing.T, handler func(*websocket.Conn)) *httptest.Server {
	srv := unstarted(t, handler)
	srv.Start()
	return srv
}

func unstarted(t *testing.T, handler func(*websocket.Conn)) *httptest.Server {
	var mu sync.Mutex
	everybody := make(map[*websocket.Conn]bool)
	options := websocket.AcceptOptions{Options: websocket.Options{ReadLimit: 1 << 24}}
	mux := http.NewServeMux()
	mux.Handle("/", &websocket.Server{AcceptOptions: options, Handler: handler})
	mux.Handle("/broadcast", &websocket.Server{AcceptOptions: options, Handler: func(c *websocket.Conn) {
		mu.Lock()
		everybody[c] = true
		mu.Unlock()
		for msg, err := range c.Messages(c.Context()) {
			mu.Lock()
			if err != nil {
				delete(everybody, c)
				mu.Unlock()
				return
			}
			for other := range everybody {
				other.Write(c.Context(), msg.Type, msg.Data)
			}
			mu.Unlock()
		}
	}})
	srv := httptest.NewUnstartedServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// alteration is how an echo may differ from what was sent.
type alteration func(n int, m websocket.Message) websocket.Message

// echo answers each message with what alter makes of it; n counts them.
func echo(alter alteration) func(*websocket.Conn) {
	return func(c *websocket.Conn) {
		n := 0
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			if alter != nil {
				msg = alter(n, msg)
			}
			n++
			if c.Write(c.Context(), msg.Type, msg.Data) != nil {
				return
			}
		}
	}
}

func testJob(srv *httptest.Server, kind string) Job {
	return Job{
		Kind: kind, Addr: srv.Listener.Addr().String(), PID: os.Getpid(),
		Conns: 4, Size: 300, Depth: 3, Messages: 2,
		Warmup: 5 * time.Millisecond, Time: 30 * time.Millisecond, Timeout: 10 * time.Second,
	}
}

func TestEcho(t *testing.T) {
	srv := serve(t, echo(nil))
	for _, size := range []int{8, 125, 126, 300, 1 << 16, 300_000} {
		job := testJob(srv, Echo)
		job.Size = size
		r, err := Run(t.Context(), job, nil)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		header := 2
		if size > 125 {
			header = 4
		}
		if size >= 1<<16 {
			header = 10
		}
		if got := float64(r.Wire) / r.Messages; math.Abs(got-float64(size+header)) > 1e-6 {
			t.Errorf("size %d: %v bytes per reply, want %d", size, got, size+header)
		}
		// Replies count by their bytes, what was sent by whole batches.
		want, batch := r.Messages*float64(size+header+4), float64(job.Depth*(size+header+4))
		if got := float64(r.Sent); got < want-batch*float64(job.Conns) || got > want+batch*float64(job.Conns) {
			t.Errorf("size %d: %v bytes sent, want %v or so", size, got, want)
		}
		// On a machine that is slow enough, no whole batch may be in the measurement.
		batches := r.Messages / float64(job.Conns*job.Depth)
		if r.CPU <= 0 || r.Wall < job.Time || r.P99 < r.P50 || batches > 2 && r.P50 <= 0 {
			t.Errorf("size %d: %+v", size, r)
		}
	}
}

// The clock starts only after so many messages.
func TestWarmUp(t *testing.T) {
	var served atomic.Int64
	srv := serve(t, echo(func(_ int, m websocket.Message) websocket.Message {
		served.Add(1)
		return m
	}))
	job := testJob(srv, Echo)
	job.Warmup, job.Time, job.Messages = time.Nanosecond, 10*time.Millisecond, 500
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if before := float64(served.Load()) - r.Messages; before < 500*float64(job.Conns) {
		t.Errorf("%v messages outside of the measurement, want %d", before, 500*job.Conns)
	}
}

// A server's count must match the generator's: never less than the messages of the
// measurement, and, without those of the warm-up and the verification, not more than
// were under way at its two ends.
func TestEchoCounts(t *testing.T) {
	var mu sync.Mutex
	served := 0
	srv := serve(t, echo(func(_ int, m websocket.Message) websocket.Message {
		mu.Lock()
		served++
		mu.Unlock()
		return m
	}))
	job := testJob(srv, Echo)
	job.Warmup = time.Nanosecond
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	verified := 2 * job.Conns * job.Depth
	underWay := 3 * job.Conns * job.Depth // before the clock starts, and after it stops
	if loaded := float64(served - verified); loaded < r.Messages || loaded > r.Messages+float64(underWay) {
		t.Errorf("the server has echoed %v under load, the generator counts %v", loaded, r.Messages)
	}
}

func TestSilentServer(t *testing.T) {
	srv := serve(t, func(c *websocket.Conn) {
		for range 3 {
			typ, data, err := c.Read(c.Context())
			if err != nil || c.Write(c.Context(), typ, data) != nil {
				return
			}
		}
		<-c.Context().Done()
	})
	job := testJob(srv, Echo)
	job.Timeout = 300 * time.Millisecond
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "no reply for") {
		t.Errorf("error %v, want that no reply comes", err)
	}
}

func TestServerThatCloses(t *testing.T) {
	srv := serve(t, func(c *websocket.Conn) {
		c.Read(c.Context())
		c.Close(websocket.StatusGoingAway, "")
	})
	if _, err := Run(t.Context(), testJob(srv, Echo), nil); err == nil || !strings.Contains(err.Error(), "opcode 8") {
		t.Errorf("error %v, want one of the close frame", err)
	}
}

func TestNoWebSocket(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	if _, err := Run(t.Context(), testJob(srv, Echo), nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want the status", err)
	}
}

// Compressed echoes are inflated and compared, and both directions' bytes are
// those of compressed frames.
func TestCompressedEcho(t *testing.T) {
	for name, test := range map[string]struct {
		compress string
		options  websocket.CompressionOptions
	}{
		"no takeover":  {NoTakeover, websocket.CompressionOptions{}},
		"takeover":     {Takeover, websocket.CompressionOptions{}},
		"small window": {Takeover, websocket.CompressionOptions{WindowBits: 11}},
		"one way":      {Takeover, websocket.CompressionOptions{ServerNoContextTakeover: true}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(&websocket.Server{
				AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Compression: &test.options}},
				Handler:       echo(nil),
			})
			defer srv.Close()
			job := testJob(srv, Echo)
			job.Compress, job.Size, job.Depth = test.compress, 1024, 1
			r, err := Run(t.Context(), job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if wire, sent := float64(r.Wire)/r.Messages, float64(r.Sent)/r.Messages; wire < 50 || wire > 512 || sent < 50 || sent > 512 {
				t.Errorf("%v bytes per reply, %v per request", wire, sent)
			}
		})
	}
}

// An echo that is not what was sent is noticed through its compression.
func TestWrongCompressedReply(t *testing.T) {
	srv := httptest.NewServer(&websocket.Server{
		AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Compression: new(websocket.CompressionOptions)}},
		Handler: echo(func(_ int, m websocket.Message) websocket.Message {
			m.Data[len(m.Data)/2] ^= 1
			return m
		}),
	})
	defer srv.Close()
	job := testJob(srv, Echo)
	job.Compress, job.Size, job.Depth = Takeover, 1024, 1
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("error %v, want that the message differs", err)
	}
}

// To be asked for compression and to answer without is an error, not a
// measurement.
func TestCompressionDeclined(t *testing.T) {
	job := testJob(serve(t, echo(nil)), Echo)
	job.Compress, job.Size, job.Depth = Takeover, 1024, 1
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "Extensions") {
		t.Errorf("error %v, want one of the extensions", err)
	}
}

func TestBroadcast(t *testing.T) {
	job := testJob(serve(t, echo(nil)), Broadcast)
	job.Conns = 20
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(r.Wire) / r.Messages; got != 304 || r.CPU <= 0 {
		t.Errorf("%v bytes per delivery: %+v", got, r)
	}
}

func TestBroadcastToSenderOnly(t *testing.T) {
	srv := httptest.NewServer(&websocket.Server{Handler: echo(nil)})
	defer srv.Close()
	job := testJob(srv, Broadcast)
	job.Timeout = 300 * time.Millisecond
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "connection 2") {
		t.Errorf("error %v, want that the second connection gets nothing", err)
	}
}

func TestHandshakes(t *testing.T) {
	var mu sync.Mutex
	served := 0
	srv := serve(t, func(c *websocket.Conn) {
		mu.Lock()
		served++
		mu.Unlock()
		c.Read(c.Context())
	})
	r, err := Run(t.Context(), testJob(srv, Handshake), nil)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if r.Messages < 1 || float64(served) < r.Messages || r.CPU <= 0 || r.P50 <= 0 {
		t.Errorf("%d served: %+v", served, r)
	}
}

func TestMemory(t *testing.T) {
	var mu sync.Mutex
	open := 0
	srv := serve(t, func(c *websocket.Conn) {
		mu.Lock()
		open++
		mu.Unlock()
		echo(nil)(c)
		mu.Lock()
		open--
		mu.Unlock()
	})
	var states []string
	var counts []int
	job := testJob(srv, Memory)
	job.Conns = 70
	_, err := Run(t.Context(), job, func(state string) error {
		mu.Lock()
		defer mu.Unlock()
		states, counts = append(states, state), append(counts, open)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(states, []string{PauseEmpty, PauseIdle, PauseUsed}) || !slices.Equal(counts, []int{0, 70, 70}) {
		t.Errorf("pauses %v with %v connections open", states, counts)
	}
	stop := errors.New("stop")
	if _, err := Run(t.Context(), job, func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v, want the pause's", err)
	}
}

func TestCancelled(t *testing.T) {
	job := testJob(serve(t, echo(nil)), Echo)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, job, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// The floors have no frames: the same bytes come back.
func TestRawEcho(t *testing.T) {
	for name, spoil := range map[string]bool{"right": false, "wrong": true} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
			rw.Flush()
			buf := make([]byte, 4096)
			for {
				n, err := rw.Read(buf)
				if err != nil {
					return
				}
				if spoil {
					buf[n-1]++
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}))
		job := testJob(srv, Echo)
		job.Raw = true
		r, err := Run(t.Context(), job, nil)
		srv.Close()
		if spoil {
			if err == nil || !strings.Contains(err.Error(), "differs") {
				t.Errorf("%s: error %v", name, err)
			}
			continue
		}
		if err != nil || float64(r.Wire)/r.Messages != 308 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
