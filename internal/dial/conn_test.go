package dial_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestTripper is a RoundTripper that is no *http.Transport.
type dialTestTripper func(*http.Request) (*http.Response, error)

func (f dialTestTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dialTestPattern makes n bytes that do not repeat soon.
func dialTestPattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return string(b)
}

// TestDialEarlyBytes sends them in the same packet as the response.
func TestDialEarlyBytes(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	for _, scheme := range []string{"ws", "wss"} {
		var cfg *tls.Config
		want := reflect.TypeFor[*net.TCPConn]()
		if scheme == "wss" {
			cfg, want = serverTLS, reflect.TypeFor[*tls.Conn]()
		}
		// The sizes around 4 KiB meet the end of net/http's buffer.
		for _, size := range []int{0, 1, 2, 100, 3950, 3960, 3966, 3967, 3968, 3969, 3970, 4096, 10 << 10, 40 << 10} {
			tail := dialTestPattern(size)
			addr := wstest.Listen(t, cfg, func(p *wstest.Peer) {
				io.WriteString(p, wstest.Switch(p.Request(), "")+tail)
				p.Echo()
			})
			nc, early, _ := dialTestConn(t, scheme+"://"+addr, dialTestOptions(wstest.Transport(nil)))
			if reflect.TypeOf(nc) != want {
				t.Errorf("got a %T, want a %v", nc, want)
			}
			if size > 0 && len(early) == 0 {
				t.Errorf("%s: none of %d bytes came early", scheme, size)
			}
			dialTestEcho(t, nc, early, tail)
		}
	}
}

// dialTestCork is a connection that holds back what is written until it is
// told how much of it to send.
type dialTestCork struct {
	net.Conn
	corked bool
	held   bytes.Buffer
}

func (c *dialTestCork) Write(p []byte) (int, error) {
	if c.corked {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

// TestDialEarlyBytesCut cuts the response and what follows it into two
// packets, anywhere. Where the response is in the first packet, the second is
// sent when the dial is done. Under TLS the response and three frames are
// records of their own, so that the cut leaves whole and half records.
func TestDialEarlyBytesCut(t *testing.T) {
	t.Parallel()
	serverTLS, _ := wstest.TLS()
	frames := []string{"\x81\x02hi", "\x82\x05" + "\x00\xff\x80\r\n", "\x89\x00"}
	for _, scheme := range []string{"ws", "wss"} {
		var (
			cuts    = make(chan int, 1)
			dialled = make(chan struct{}, 1)
			records = make(chan []int, 1) // where they end
		)
		addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
			cork := &dialTestCork{Conn: p.Conn}
			if p.Conn = cork; scheme == "wss" {
				p.Conn = tls.Server(cork, serverTLS)
				p.R = bufio.NewReader(p.Conn)
			}
			req := p.Request()
			if req == nil {
				return
			}
			cork.corked = true
			var ends []int
			for _, s := range append([]string{wstest.Switch(req, "")}, frames...) {
				io.WriteString(p.Conn, s)
				ends = append(ends, cork.held.Len())
			}
			cork.corked = false
			records <- ends
			cut := min(<-cuts, cork.held.Len())
			cork.Conn.Write(cork.held.Next(cut))
			if cut >= ends[0] {
				<-dialled
			}
			cork.Conn.Write(cork.held.Bytes())
			p.Echo()
		})
		opts := dialTestOptions(wstest.Transport(nil))
		try := func(cut int) (ends []int) {
			cuts <- cut
			nc, early, _ := dialTestConn(t, scheme+"://"+addr, opts)
			defer nc.Close()
			ends = <-records
			if cut >= ends[0] {
				dialled <- struct{}{}
			}
			dialTestEcho(t, nc, early, strings.Join(frames, ""))
			// What was there when the dial ended must have come early. Under
			// TLS that goes for whole records only.
			for i, end := range ends[1:] {
				if n := len(strings.Join(frames[:i+1], "")); cut >= end && len(early) < n {
					t.Errorf("%s: cut at %d, %d bytes came early, want %d", scheme, cut, len(early), n)
				}
			}
			return ends
		}
		ends := try(0)
		first, last := ends[0], ends[len(ends)-1]
		for cut := 1; cut <= last; cut++ {
			if scheme == "wss" && cut < first-2 && cut%40 != 0 {
				continue // a TLS handshake for each takes its time
			}
			try(cut)
		}
	}
}

// TestDialForeignConn: a dialer of the user's returns a type of its own, on
// which no read can be stopped. Nothing may wait, and nothing be lost.
func TestDialForeignConn(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	for _, scheme := range []string{"ws", "wss"} {
		cfg := serverTLS
		if scheme == "ws" {
			cfg = nil
		}
		for _, size := range []int{0, 5, 10 << 10} {
			tail := dialTestPattern(size)
			addr := wstest.Listen(t, cfg, func(p *wstest.Peer) {
				io.WriteString(p, wstest.Switch(p.Request(), "")+tail)
				p.Echo()
			})
			tr := wstest.Transport(nil)
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				return wstest.NoDeadlines{Conn: nc}, err
			}
			nc, early, _ := dialTestConn(t, scheme+"://"+addr, dialTestOptions(tr))
			if nc.RemoteAddr().String() != addr {
				t.Errorf("remote address is %v, want %v", nc.RemoteAddr(), addr)
			}
			dialTestEcho(t, nc, early, tail)
		}
	}
}

// TestDialOutlivesContext: the end of the context, and of the time for the
// handshake, are of no concern to a connection that has been made.
func TestDialOutlivesContext(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	plain := wstest.Listen(t, nil, (*wstest.Peer).Accept)
	secure := wstest.Listen(t, serverTLS, (*wstest.Peer).Accept)
	// Closes the body with the request's context, as RoundTrippers may.
	tied := dialTestTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := wstest.Transport(nil).RoundTrip(r)
		if err == nil {
			body := resp.Body
			context.AfterFunc(r.Context(), func() { body.Close() })
			resp.Body = &dialTestOpaque{body.(io.ReadWriteCloser)}
		}
		return resp, err
	})
	for _, tt := range []struct {
		url string
		rt  http.RoundTripper
	}{{"ws://" + plain, wstest.Transport(nil)}, {"wss://" + secure, wstest.Transport(nil)}, {"ws://" + plain, tied}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		opts := dialTestOptions(tt.rt)
		opts.HTTPClient.Timeout = time.Hour
		nc, early, resp, err := dialHandshake(ctx, tt.url, opts)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := resp.Request.Context().Err(); err != nil {
			t.Errorf("context of the request: %v", err)
		}
		for range 3 {
			dialTestEcho(t, nc, early, "")
		}
		nc.Close()
	}
}

// dialTestOpaque hides what it wraps.
type dialTestOpaque struct{ io.ReadWriteCloser }

func TestDialRoundTripper(t *testing.T) {
	tail := dialTestPattern(5000)
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		io.WriteString(p, wstest.Switch(p.Request(), "")+tail)
		p.Echo()
	})
	other := wstest.Listen(t, nil, func(p *wstest.Peer) {
		for p.Request() != nil {
			io.WriteString(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	tr := wstest.Transport(nil)
	tr.ReadBufferSize = 100 // another than Dial expects
	defer tr.CloseIdleConnections()
	// A RoundTripper that makes a second request with the context of the
	// first: its connection must not be mistaken for ours.
	detour := func(r *http.Request) {
		req, _ := http.NewRequestWithContext(r.Context(), "GET", "http://"+other, nil)
		if resp, err := tr.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	for _, tt := range []struct {
		name string
		rt   dialTestTripper
		want string
	}{
		{"transparent", tr.RoundTrip, "*net.TCPConn"},
		{"opaque", func(r *http.Request) (*http.Response, error) {
			resp, err := tr.RoundTrip(r)
			if err == nil {
				resp.Body = &dialTestOpaque{resp.Body.(io.ReadWriteCloser)}
				resp.Request = nil
			}
			return resp, err
		}, "*dial.bodyConn"},
		{"without the context", func(r *http.Request) (*http.Response, error) {
			return tr.RoundTrip(r.WithContext(context.Background()))
		}, "*dial.bodyConn"},
		{"detour before", func(r *http.Request) (*http.Response, error) {
			detour(r)
			return tr.RoundTrip(r)
		}, "*net.TCPConn"},
		{"detour after", func(r *http.Request) (*http.Response, error) {
			defer detour(r)
			return tr.RoundTrip(r)
		}, "*dial.bodyConn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nc, early, resp := dialTestConn(t, "ws://"+addr+"/x", dialTestOptions(tt.rt))
			if fmt.Sprintf("%T", nc) != tt.want {
				t.Errorf("got a %T, want a %s", nc, tt.want)
			}
			if nc.RemoteAddr().String() != addr {
				t.Errorf("remote address is %v, want %v", nc.RemoteAddr(), addr)
			}
			if resp.Request == nil || resp.Request.URL.Path != "/x" {
				t.Errorf("got request %+v", resp.Request)
			}
			dialTestEcho(t, nc, early, tail)
		})
	}

	mute := dialTestTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			//lint:ignore SA1008 the spelling of RFC 6455, in which it is sent
			"Sec-Websocket-Accept": {websocket.AcceptKey(r.Header["Sec-WebSocket-Key"][0])},
		}}, nil
	})
	_, resp, err := websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(mute))
	if resp != nil || err == nil || !strings.Contains(err.Error(), "dialTestTripper gave a 101 response with a Body") {
		t.Errorf("body that cannot be written to: got %v", err)
	}
	failing := dialTestTripper(func(r *http.Request) (*http.Response, error) { return nil, io.ErrNoProgress })
	if _, _, err := websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(failing)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("RoundTripper that fails: got %v", err)
	}
}

// TestDialLeavesNothing: one connection is open after a success, none after
// it was closed, and no goroutine but the connection's own.
func TestDialLeavesNothing(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	var addr string
	addr = wstest.Listen(t, serverTLS, func(p *wstest.Peer) {
		for req := p.Request(); req != nil; req = p.Request() {
			if n := 0; !strings.HasPrefix(req.URL.Path, "/end") {
				fmt.Sscanf(req.URL.Path, "/%d", &n)
				next := fmt.Sprintf("/%d", n-1)
				if n == 0 {
					next = "/end"
				}
				fmt.Fprintf(p, "HTTP/1.1 302 Found\r\nLocation: wss://%s%s\r\nContent-Length: 2\r\n\r\nhi", addr, next)
				continue
			}
			io.WriteString(p, wstest.Switch(req, ""))
			p.Echo()
			return
		}
	})
	d := new(wstest.Dialer)
	wstest.NoGoroutines(t, func() {
		nc, early, _, err := dialHandshake(t.Context(), "wss://"+addr+"/3", dialTestOptions(wstest.Transport(d)))
		if err != nil {
			t.Fatal(err)
		}
		dialTestEcho(t, nc, early, "")
		wstest.Eventually(t, func() bool { return d.Open() == 1 && len(d.Conns) == 5 }, func() string {
			return fmt.Sprintf("%d of %d connections are open, want 1 of 5", d.Open(), len(d.Conns))
		})
		nc.Close()
	})
	if n := d.Open(); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
}
