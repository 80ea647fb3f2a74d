package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestDialNoAnswer: what a server does instead of answering is told in words,
// by a HandshakeError without a status.
func TestDialNoAnswer(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	const settings = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
	for _, tt := range []struct {
		name, answer, want string
		is                 error
	}{
		{"closes", "", "server closed the connection without an answer; does a WebSocket server listen on this port", io.EOF},
		{"closes in the answer", "HTTP/1.1 101 Switching Pro", "server closed the connection in the middle of its answer", io.EOF},
		{"closes in the header", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n", "server closed the connection in the middle of its answer", io.EOF},
		{"closes behind an interim response", "HTTP/1.1 103 Early Hints\r\n\r\n", "server closed the connection in the middle of its answer", io.EOF},
		{"speaks HTTP/2", settings, "server speaks HTTP/2 on this connection, a WebSocket handshake needs HTTP/1.1; a DialTLSContext must offer http/1.1 only", nil},
		{"ends HTTP/2", "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "server speaks HTTP/2 on this connection", nil},
		{"speaks TLS", "\x15\x03\x01\x00\x02\x02\x46", "server speaks TLS; the URL must begin with wss", nil},
		{"speaks SSH", "SSH-2.0-x\r\n\r\n", `server speaks another protocol than HTTP, it begins with "SSH-2.0-x\r\n\r\n"`, nil},
		{"speaks at length", strings.Repeat("x", 1000) + "\r\n", `server speaks another protocol than HTTP, it begins with "` + strings.Repeat("x", 64) + `"`, nil},
		{"sends an empty line", "\r\n", `server speaks another protocol than HTTP, it begins with "\r\n"`, nil},
	} {
		for _, scheme := range []string{"ws", "wss"} {
			t.Run(tt.name+" by "+scheme, func(t *testing.T) {
				cfg := serverTLS
				if scheme == "ws" {
					cfg = nil
				}
				addr := wstest.Listen(t, cfg, func(p *wstest.Peer) {
					if p.Request() != nil {
						io.WriteString(p, tt.answer)
						p.Close()
					}
				})
				d := new(wstest.Dialer)
				var (
					resp *http.Response
					err  error
				)
				wstest.NoGoroutines(t, func() {
					_, resp, err = websocket.Dial(t.Context(), scheme+"://user:secret@"+addr+"/?secret", dialTestOptions(wstest.Transport(d)))
				})
				e := dialTestRefused(t, err, 0, "websocket: dial "+scheme+"://"+addr+"/: "+tt.want)
				if resp != nil || e.Proxy != "" || !strings.HasPrefix(e.Reason, "server ") || strings.Contains(err.Error(), "secret") {
					t.Errorf("got response %v, error %#v", resp, e)
				}
				if !strings.Contains(e.Error(), "websocket: no answer to the handshake: "+e.Reason) {
					t.Errorf("the HandshakeError itself says %q", e)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("%v does not wrap %v", err, tt.is)
				}
				if strings.Contains(err.Error(), "one for wss") != (scheme == "ws" && tt.answer == "") {
					t.Errorf("got %q", err)
				}
				if n := d.Open(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		}
	}
}

// TestDialNoAnswerForeign: less is known behind a RoundTripper of the user's.
func TestDialNoAnswerForeign(t *testing.T) {
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) { p.Request() })
	_, _, err := websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(dialTestTripper(wstest.Transport(nil).RoundTrip)))
	dialTestRefused(t, err, 0, "server closed the connection without a complete answer")
	if !errors.Is(err, io.EOF) {
		t.Errorf("%v does not wrap io.EOF", err)
	}
}

// TestDialReset: a reset is told with what the system says.
func TestDialReset(t *testing.T) {
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		if p.Request() != nil {
			p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		}
	})
	_, _, err := websocket.Dial(t.Context(), "ws://"+addr, nil)
	dialTestRefused(t, err, 0, "server closed the connection without an answer (read tcp ")
	if e := (*net.OpError)(nil); !errors.As(err, &e) || e.Op != "read" {
		t.Errorf("%v wraps no error of reading", err)
	}
}

// TestDialNoAnswerInTime: what ends because the time is up is not the server's
// doing, and so are failures of the user's dialer.
func TestDialNoAnswerInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		p.Request()
		cancel()
		io.Copy(io.Discard, p.R)
	})
	_, _, err := websocket.Dial(ctx, "ws://"+addr, nil)
	if e := (*websocket.HandshakeError)(nil); !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("cancelled: got %v", err)
	}
	tr := wstest.Transport(nil)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = nc.SetDeadline(time.Unix(1, 0))
		}
		return nc, err
	}
	_, _, err = websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(tr))
	if e := (*websocket.HandshakeError)(nil); !errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) {
		t.Errorf("connection with a deadline: got %v", err)
	}
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	_, _, err = websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(tr))
	if e := (*websocket.HandshakeError)(nil); !errors.Is(err, io.EOF) || errors.As(err, &e) {
		t.Errorf("dialer that fails: got %v", err)
	}
}

// dialTestOpaqueTLS shows nothing of the TLS under it.
type dialTestOpaqueTLS struct{ net.Conn }

// dialTestTellingTLS shows the state.
type dialTestTellingTLS struct {
	net.Conn
	tc *tls.Conn
}

func (c *dialTestTellingTLS) ConnectionState() tls.ConnectionState { return c.tc.ConnectionState() }
func (c *dialTestTellingTLS) HandshakeContext(ctx context.Context) error {
	return c.tc.HandshakeContext(ctx)
}

// dialTestOtherTLS shows a state that is not crypto/tls's, as uTLS does.
type dialTestOtherTLS struct {
	net.Conn
	tc *tls.Conn
}

func (c *dialTestOtherTLS) ConnectionState() (s struct{ NegotiatedProtocol string }) {
	s.NegotiatedProtocol = c.tc.ConnectionState().NegotiatedProtocol
	return s
}
func (c *dialTestOtherTLS) HandshakeContext(ctx context.Context) error {
	return c.tc.HandshakeContext(ctx)
}

// TestDialAgreedOnHTTP2: a TLS dialer of the user's has agreed on HTTP/2, and
// shows it or does not.
func TestDialAgreedOnHTTP2(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.NotFoundHandler())
	ts.EnableHTTP2 = true
	ts.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ts.StartTLS()
	defer ts.Close()
	for _, tt := range []struct {
		name string
		wrap func(*tls.Conn) net.Conn
		want string
	}{
		{"bare", func(tc *tls.Conn) net.Conn { return tc }, `DialTLSContext agreed with the server on "h2"`},
		{"telling", func(tc *tls.Conn) net.Conn { return &dialTestTellingTLS{tc, tc} }, `DialTLSContext agreed with the server on "h2"`},
		{"of another package", func(tc *tls.Conn) net.Conn { return &dialTestOtherTLS{tc, tc} }, `DialTLSContext agreed with the server on "h2"`},
		{"opaque", func(tc *tls.Conn) net.Conn { return &dialTestOpaqueTLS{tc} }, "server "}, // its SETTINGS may get lost in a reset
	} {
		d := new(wstest.Dialer)
		tr := ts.Client().Transport.(*http.Transport).Clone()
		tr.DialContext = d.DialContext
		dial := dialTestTLSDialer(tr, "h2")
		tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return tt.wrap(nc.(*tls.Conn)), nil
		}
		_, _, err := websocket.Dial(t.Context(), ts.URL, dialTestOptions(tr))
		dialTestRefused(t, err, 0, tt.want)
		if !strings.Contains(err.Error(), "must offer http/1.1 only") {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if n := d.Open(); n != 0 {
			t.Errorf("%s: %d connections are open", tt.name, n)
		}
	}
}

// TestDialSchemeMismatch: wss to a server without TLS.
func TestDialSchemeMismatch(t *testing.T) {
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		p.Request() // a ClientHello is none
		io.WriteString(p, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
	_, _, err := websocket.Dial(t.Context(), "wss://"+addr, nil)
	if !errors.Is(err, http.ErrSchemeMismatch) || !strings.Contains(err.Error(), "the URL begins with ws") {
		t.Errorf("got %v", err)
	}
}

// TestDialALPN: the server sees the protocols of the user's configuration, but
// for those that have no HTTP/1.1 handshake.
func TestDialALPN(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	offers := make(chan []string, 1)
	serverTLS = serverTLS.Clone()
	serverTLS.NextProtos = []string{"private", "h2", "http/1.1"}
	serverTLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		offers <- hello.SupportedProtos
		return nil, nil
	}
	hosts := map[string]string{"example.com:443": wstest.Listen(t, serverTLS, (*wstest.Peer).Accept)}
	proxy := wstest.Listen(t, nil, wstest.HTTPProxy(nil, wstest.Connected, hosts))
	for _, tt := range []struct{ given, offered, agreed string }{
		{"", "", ""},
		{"http/1.1", "http/1.1", "http/1.1"},
		{"h2,http/1.1", "http/1.1", "http/1.1"}, // as net/http sets it
		{"h3,h3-29,h2", "", ""},
		{"private,h2", "private", "private"},
	} {
		for _, by := range []string{"", proxy} {
			tr := wstest.Transport(&wstest.Dialer{Hosts: hosts})
			given := strings.FieldsFunc(tt.given, func(r rune) bool { return r == ',' })
			tr.TLSClientConfig.NextProtos = given
			if by != "" {
				tr.Proxy = wstest.ProxyURL(t, "http://"+by)
			}
			nc, early, resp := dialTestConn(t, "wss://example.com", dialTestOptions(tr))
			if got := strings.Join(wstest.ReceiveFor(t, offers, "a handshake"), ","); got != tt.offered || resp.TLS.NegotiatedProtocol != tt.agreed {
				t.Errorf("%q: server was offered %q, and %q was agreed on; want %q, %q", tt.given, got, resp.TLS.NegotiatedProtocol, tt.offered, tt.agreed)
			}
			if got := strings.Join(given, ","); got != tt.given {
				t.Errorf("%q: the user's has become %q", tt.given, got)
			}
			dialTestEcho(t, nc, early, "")
		}
	}
}
