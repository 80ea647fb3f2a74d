package wstest

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Server is the library's Server.
type Server interface {
	http.Handler
	Close() error
	Shutdown(context.Context) error
}

// ServeHTTP serves s over TCP. When the test ends no handler is left.
func ServeHTTP(t testing.TB, s Server) (addr string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		s.Close()
		MustShutdown(t, s)
	})
	return srv.Listener.Addr().String()
}

// MustShutdown waits until s has nothing left to wait for.
func MustShutdown(t testing.TB, s Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// AcceptServer runs accept on a real server, and sends each outcome to the channel.
// accept must close each connection that it takes over.
func AcceptServer(t testing.TB, accept func(http.ResponseWriter, *http.Request) error) (addr string, outcomes <-chan error) {
	t.Helper()
	ch := make(chan error, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ch <- accept(w, r) }))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), ch
}

// HijackWriter is a ResponseWriter with a Hijack method to choose.
type HijackWriter struct {
	*httptest.ResponseRecorder
	Take func() (net.Conn, *bufio.ReadWriter, error)
}

func (w HijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.Take() }

// HijackFunc returns a HijackWriter with a recorder of its own.
func HijackFunc(take func() (net.Conn, *bufio.ReadWriter, error)) HijackWriter {
	return HijackWriter{httptest.NewRecorder(), take}
}

// SampleRequest is a handshake that a server accepts, as net/http has it.
func SampleRequest() *http.Request {
	r := httptest.NewRequest("GET", "http://server.example/chat", nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {Key},
	}
	return r
}
