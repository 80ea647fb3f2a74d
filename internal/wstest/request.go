package wstest

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// The key and the answer to it are those of RFC 6455, section 1.3.
const (
	Key    = "dGhlIHNhbXBsZSBub25jZQ=="
	Accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// AcceptKey is the value of Sec-WebSocket-Accept for a key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Request is an opening handshake for the wire, to be spoilt line by line.
type Request struct {
	First string   // the request line
	Lines []string // the headers
	Rest  string   // what follows the head
}

// NewRequest returns a handshake that a server accepts.
func NewRequest() *Request {
	return &Request{
		First: "GET /chat HTTP/1.1",
		Lines: []string{
			"Host: server.example",
			"Upgrade: websocket",
			"Connection: Upgrade",
			"Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: " + Key,
		},
	}
}

// Set puts lines in the place of those that have the first one's name.
func (q *Request) Set(lines ...string) *Request {
	name, _, _ := strings.Cut(lines[0], ":")
	return q.Drop(name).Add(lines...)
}

// Drop removes the lines that have this name.
func (q *Request) Drop(name string) *Request {
	q.Lines = slices.DeleteFunc(q.Lines, func(line string) bool {
		n, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(n, name)
	})
	return q
}

// Add adds lines.
func (q *Request) Add(lines ...string) *Request {
	q.Lines = append(q.Lines, lines...)
	return q
}

func (q *Request) String() string {
	return q.First + "\r\n" + strings.Join(q.Lines, "\r\n") + "\r\n\r\n" + q.Rest
}

// Exchange sends a request over a connection of its own, and waits until the server
// has closed it. It returns the response with all that came behind its head.
func Exchange(t testing.TB, addr, request string) (*http.Response, string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	br := bufio.NewReader(bytes.NewReader(answer))
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	behind, _ := io.ReadAll(br)

	// ReadResponse keeps Connection to itself.
	_, head, _ := bytes.Cut(answer, []byte("\r\n"))
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	resp.Header = http.Header(header)
	return resp, string(body) + string(behind)
}
