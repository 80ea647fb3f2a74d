package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/fullduplex-go/websocket"
)

const (
	polls      = 6
	eventsPath = "/events/1017"
	socketPath = "/ws/1017"

	// cookie is 32 random bytes in base64, as session ids are.
	cookie = "session=q7Vn0TzK4mXcJd2uR9bYhWf1sLgEo6PtAaSiMvN3xDk"
)

// pollPath returns the path of the nth poll. All paths have the same length.
func pollPath(n int) string { return fmt.Sprintf("/poll/1017?after=%d", 10000+n) }

// page makes one request after the other, since some can be told apart by their
// order only.
var page = `<!doctype html><title>capture</title><link rel="icon" href="data:,"><script>
const opened = (it) => new Promise((ok, no) => { it.onopen = ok; it.onerror = no; });
(async () => {
	for (let n = 1; n <= ` + fmt.Sprint(polls) + `; n++) await (await fetch("/poll/1017?after=" + (10000 + n))).json();
	await opened(new EventSource("` + eventsPath + `"));
	await opened(new WebSocket("wss://" + location.host + "` + socketPath + `"));
	await fetch("/done");
})();
</script>`

// site is a server with one protocol that records everything it receives.
type site struct {
	server http.Server
	ln     net.Listener
	done   chan struct{} // closed when the page is done
	over   sync.Once     // closes done

	mu      sync.Mutex
	conns   []*recorded
	headers map[string]http.Header
}

func newSite(protocol string) (*site, error) {
	// httptest has a certificate, which the browser is told not to check.
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	certificates := other.TLS.Certificates
	other.Close()

	s := &site{done: make(chan struct{}), headers: make(map[string]http.Header)}
	var err error
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	// A WebSocket asks for HTTP/1.1 on a connection of its own.
	config := &tls.Config{Certificates: certificates, NextProtos: []string{protocol, "http/1.1"}}
	s.server.Handler = s
	// The server gets plain text, and must accept HTTP/2 in it, too.
	s.server.Protocols = new(http.Protocols)
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	go s.server.Serve(&recorder{s.ln, config, s})
	return s, nil
}

func (s *site) addr() string { return s.ln.Addr().String() }

func (s *site) close() { s.server.Close() }

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.headers[r.URL.RequestURI()] = r.Header.Clone()
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Set-Cookie", cookie+"; Path=/; Secure; HttpOnly; SameSite=Lax")
		w.Write([]byte(page))
	case strings.HasPrefix(r.URL.Path, "/poll/"):
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("{}"))
	case r.URL.Path == eventsPath:
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case r.URL.Path == socketPath:
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{"https://" + host}})
		if err == nil {
			c.Read(r.Context())
			c.CloseNow()
		}
	case r.URL.Path == "/done":
		s.over.Do(func() { close(s.done) })
	default:
		http.NotFound(w, r)
	}
}

// recorder accepts connections, terminates their TLS, and records them.
type recorder struct {
	net.Listener
	config *tls.Config
	site   *site
}

func (l *recorder) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &recorded{Conn: tls.Server(c, l.config)}
	l.site.mu.Lock()
	l.site.conns = append(l.site.conns, r)
	l.site.mu.Unlock()
	return r, nil
}

// recorded is a connection that keeps the bytes that were read. It is no *tls.Conn,
// so http.Server takes the bytes for plain text.
type recorded struct {
	net.Conn
	mu   sync.Mutex
	text []byte
}

func (c *recorded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.text = append(c.text, p[:n]...)
	c.mu.Unlock()
	return n, err
}

func (c *recorded) read() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.text)
}

// requestHead finds the head of an HTTP/1.1 request as it came.
func (s *site) requestHead(path string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := []byte("GET " + path + " HTTP/1.1\r\n")
	for _, c := range s.conns {
		text := c.read()
		if at := bytes.Index(text, line); at >= 0 {
			head, _, whole := bytes.Cut(text[at:], []byte("\r\n\r\n"))
			if !whole {
				return nil, fmt.Errorf("the request for %s has no end", path)
			}
			head = bytes.Replace(head, []byte(path), []byte("{path}"), 1)
			return append(bytes.ReplaceAll(head, []byte("\r\n"), []byte("\n")), '\n'), nil
		}
	}
	return nil, fmt.Errorf("no request for %s", path)
}

// header is the header of a request, joined and without its order.
func (s *site) header(path string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers[path]
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// headersFrames are the sizes of the frames that carry headers (RFC 9113,
// section 4.1), their own header of 9 bytes included.
func (s *site) headersFrames() ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		text, ok := bytes.CutPrefix(c.read(), []byte(preface))
		if !ok {
			continue
		}
		const frameHeader, typeHeaders = 9, 1
		var sizes []int
		for len(text) >= frameHeader {
			n := frameHeader + int(binary.BigEndian.Uint32(text)>>8)
			if n > len(text) {
				break
			}
			if text[3] == typeHeaders {
				sizes = append(sizes, n)
			}
			text = text[n:]
		}
		return sizes, nil
	}
	return nil, errors.New("no connection with HTTP/2")
}
