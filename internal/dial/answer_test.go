package dial

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestKeepUpgrade(t *testing.T) {
	const first = "HTTP/1.1 101 x\r\n"
	for _, tt := range []struct{ head, want string }{
		{"\r\n", "\r\n"},
		{"Connection: Upgrade\r\n\r\n", "Connection: Upgrade\r\n\r\n"},
		{"Connection: close\r\n\r\n", "Connection: close\r\n\r\n"},
		{"connection:  keep-alive ,  Upgrade \r\n\r\n", "connection:  keep-alive ,  Upgrade \r\n\r\n"},
		{"Connection: close, Upgrade\r\n\r\n", "Connection: Upgrade\r\n\r\n"},
		{"X: close\r\ncOnNection:close\r\nY: a,b\r\nConnection: A,upgrade, CLOSE,b\r\nZ:\r\n\r\n", "X: close\r\nY: a,b\r\nConnection: A, upgrade, b\r\nZ:\r\n\r\n"},
		{"Connection: upgrade\nConnection: close\n\n", "Connection: upgrade\r\n\n"},
		{"Connection: clo\u017fe, Upgrade\r\n\r\n", "Connection: clo\u017fe, Upgrade\r\n\r\n"},
		{"Connection: close\r\n , upgrade\r\nX: a\r\n close\r\n\r\n", "Connection: upgrade\r\nX: a\r\n close\r\n\r\n"},
		{"Proxy-Connection: close\r\nConnection: Upgrade, closed\r\n\r\n", "Proxy-Connection: close\r\nConnection: Upgrade, closed\r\n\r\n"},
	} {
		if got := string(keepUpgrade([]byte(first + tt.head))); got != first+tt.want {
			t.Errorf("%q became %q, want %q", tt.head, got, first+tt.want)
		}
	}
}

// chunks is a connection that has these bytes to read, piece by piece.
type chunks struct {
	net.Conn
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(c.size, 1))], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// FuzzAnswerConn: net/http gets to read all that the server has sent, the head
// of a 101 response without "close" and nothing behind that, wherever the
// packets are cut.
func FuzzAnswerConn(f *testing.F) {
	const tail = "\r\n\x81\x02hi\r\n\r\nHTTP/1.1 101 x\r\n\r\n"
	f.Add("HTTP/1.1 101 x\r\nConnection: close, Upgrade\r\n"+tail, 1, 1)
	f.Add("HTTP/1.1 101 x\nConnection: upgrade\n\n\n"+tail, 2, 3)
	f.Add("HTTP/1.1 100 x\r\n\r\nHTTP/1.0  103 x\r\nA: b\r\n\r\nHTTP/1.1 101\r\nX: y\r\n"+tail, 7, 2)
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3, 100)
	f.Add("\r\n\r\nSSH", 1, 1)
	f.Add("HTTP/1.1 101 "+strings.Repeat("x", 300), 9, 5)
	f.Add("HTTP/1.1 101 "+strings.Repeat("x", 20_000), 100, 100)
	f.Fuzz(func(t *testing.T, wire string, chunk, room int) {
		c := &answerConn{Conn: &chunks{rest: []byte(wire), size: chunk}, limit: 256}
		var got bytes.Buffer
		var err error
		for p := make([]byte, min(max(room, 1), 1<<16)); err == nil; {
			var n int
			if n, err = c.Read(p); n == 0 && err == nil {
				t.Fatal("a read that brings nothing")
			}
			got.Write(p[:n])
			if len(c.buf) > 256+4<<10 { // one read beyond the limit
				t.Fatalf("%d bytes are buffered", len(c.buf))
			}
		}
		nc, rest := c.takeOver()
		switched := errors.Is(err, errSwitched)
		if !switched && (err != io.EOF || got.String() != wire || len(rest) > 0) {
			t.Fatalf("%q was read as %q, %v; %q is left", wire, &got, err, rest)
		}
		if !switched {
			return
		}
		more, err := io.ReadAll(nc)
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, more...)
		head, ok := strings.CutSuffix(wire, string(rest))
		if !ok || headLen([]byte(head), 0) == 0 {
			t.Fatalf("%q: %q is left", wire, rest)
		}
		for headLen([]byte(head), 0) < len(head) { // interim responses
			n := headLen([]byte(head), 0)
			if status := headStatus([]byte(head[:n])); status/100 != 1 || status == 101 || got.String()[:n] != head[:n] {
				t.Fatalf("%q was read as %q", wire, &got)
			}
			head = head[n:]
			got.Next(n)
		}
		if want := keepUpgrade([]byte(head)); headStatus([]byte(head)) != 101 || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%q was read as %q, want %q", head, &got, want)
		}
	})
}
