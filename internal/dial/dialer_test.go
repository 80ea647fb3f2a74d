package dial_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestDialSpeaksHTTP1 to servers that would rather speak HTTP/2, however much
// the client likes that too.
func TestDialSpeaksHTTP1(t *testing.T) {
	protos := make(chan string, 8)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protos <- r.Proto
		http.Error(w, "seen", http.StatusTeapot)
	}))
	ts.EnableHTTP2 = true
	ts.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ts.StartTLS()
	defer ts.Close()

	h2 := new(http.Protocols)
	h2.SetHTTP2(true)
	for name, change := range map[string]func(*http.Transport){
		"default":      func(tr *http.Transport) {},
		"force":        func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true },
		"next protos":  func(tr *http.Transport) { tr.TLSClientConfig.NextProtos = []string{"h2"} },
		"only HTTP/2":  func(tr *http.Transport) { tr.Protocols = h2 },
		"own TLS dial": func(tr *http.Transport) { tr.DialTLSContext = dialTestTLSDialer(tr, "http/1.1") },
	} {
		tr := wstest.Transport(nil)
		tr.TLSClientConfig = ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		change(tr)
		_, _, err := websocket.Dial(t.Context(), ts.URL, dialTestOptions(tr))
		dialTestRefused(t, err, http.StatusTeapot, "seen")
		if proto := wstest.ReceiveFor(t, protos, "the request"); proto != "HTTP/1.1" {
			t.Errorf("%s: server was spoken to in %s", name, proto)
		}
	}

	tr := ts.Client().Transport.(*http.Transport).Clone()
	d := new(wstest.Dialer)
	tr.DialContext = d.DialContext
	tr.DialTLSContext = dialTestTLSDialer(tr, "h2")
	_, _, err := websocket.Dial(t.Context(), ts.URL, dialTestOptions(tr))
	if err == nil || !strings.Contains(err.Error(), `agreed with the server on "h2"`) {
		t.Errorf("TLS dialer that agrees on h2: got %v", err)
	}
	if n := d.Open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestDialDeprecatedDialers(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	plain := wstest.Listen(t, nil, (*wstest.Peer).Accept)
	secure := wstest.Listen(t, serverTLS, (*wstest.Peer).Accept)
	d := new(wstest.Dialer)
	var calls []string
	tr := wstest.Transport(nil)
	//lint:ignore SA1019 users may have set it
	tr.Dial = func(network, addr string) (net.Conn, error) {
		calls = append(calls, "Dial")
		return d.DialContext(context.Background(), network, addr)
	}
	withTLS := tr.Clone()
	withTLS.DialContext = tr.DialContext
	//lint:ignore SA1019 users may have set it
	withTLS.DialTLS = func(network, addr string) (net.Conn, error) {
		calls = append(calls, "DialTLS")
		withTLS := wstest.Transport(d)
		return dialTestTLSDialer(withTLS, "")(context.Background(), network, addr)
	}
	for _, dial := range []struct {
		url string
		tr  *http.Transport
	}{{"ws://" + plain, tr}, {"wss://" + secure, tr}, {"wss://" + secure, withTLS}} {
		nc, early, _ := dialTestConn(t, dial.url, dialTestOptions(dial.tr))
		dialTestEcho(t, nc, early, "")
	}
	if want := []string{"Dial", "Dial", "DialTLS"}; !slices.Equal(calls, want) {
		t.Errorf("dialers called: %q, want %q", calls, want)
	}

	//lint:ignore SA1019 users may have set it
	tr.Dial = func(string, string) (net.Conn, error) { return nil, nil }
	if _, _, err := websocket.Dial(t.Context(), "ws://"+plain, dialTestOptions(tr)); err == nil || !strings.Contains(err.Error(), "neither a connection nor an error") {
		t.Errorf("dialer without a result: got %v", err)
	}
}

// dialTestTLSDialer is a DialTLSContext that uses tr's dialer and TLS
// configuration, and offers proto by ALPN.
func dialTestTLSDialer(tr *http.Transport, proto string) func(context.Context, string, string) (net.Conn, error) {
	cfg := tr.TLSClientConfig.Clone()
	cfg.ServerName = "example.com"
	if cfg.NextProtos = nil; proto != "" {
		cfg.NextProtos = []string{proto}
	}
	dial := tr.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
}
