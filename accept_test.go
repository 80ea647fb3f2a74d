package websocket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Frames in the request's own packet, as no browser sends them, must reach
// the connection.
func TestTakeOverEarlyBytes(t *testing.T) {
	var frames []byte
	for i := range 50 {
		frames = append(frames, Header{Fin: true, Opcode: OpBinary, Masked: true, Length: int64(i)}.Append(nil)...)
		frames = append(frames, bytes.Repeat([]byte{byte(i)}, i)...)
	}
	for _, early := range [][]byte{nil, frames[:1], frames} {
		t.Run(fmt.Sprint(len(early)), func(t *testing.T) {
			type result struct {
				early, all []byte
				err        error
			}
			results := make(chan result, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				nc, got, failure := takeOver(w)
				if failure != nil {
					results <- result{err: failure}
					return
				}
				defer nc.Close()
				rest, err := io.ReadAll(nc)
				results <- result{got, append(slices.Clip(got), rest...), err}
			}))
			defer srv.Close()
			nc, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			q := wstest.NewRequest()
			q.Rest = string(early)
			if _, err := io.WriteString(nc, q.String()); err != nil {
				t.Fatal(err)
			}
			if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got := mustReceive(t, results)
			if got.err != nil || !bytes.Equal(got.all, early) {
				t.Errorf("got %x, %v, want %x", got.all, got.err, early)
			}
			if (len(got.early) == 0) != (len(early) == 0) {
				t.Errorf("%d bytes came through the buffer; the test is to have some there if any are sent", len(got.early))
			}
		})
	}
}

// The early bytes are a copy: the buffer that they came in is let go.
func TestTakeOverCopies(t *testing.T) {
	buf := bufio.NewReadWriter(bufio.NewReader(strings.NewReader("early")), nil)
	if _, err := buf.Reader.Peek(5); err != nil {
		t.Fatal(err)
	}
	w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return nil, buf, nil })
	_, early, failure := takeOver(w)
	if failure != nil {
		t.Fatal(failure)
	}
	buf.Reader.Reset(strings.NewReader("later"))
	if _, err := buf.Reader.Peek(5); err != nil {
		t.Fatal(err)
	}
	if string(early) != "early" {
		t.Errorf("the early bytes have become %q", early)
	}
}
