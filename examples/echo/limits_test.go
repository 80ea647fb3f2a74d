package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestReadLimit(t *testing.T) {
	url, _ := start(t, "-read-limit", "1000")
	ctx := testContext(t)
	c := dial(t, url, nil)
	if err := c.Write(ctx, websocket.Binary, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(ctx); err != nil || len(p) != 1000 {
		t.Fatalf("message at the limit: %d bytes, %v", len(p), err)
	}
	if err := c.Write(ctx, websocket.Binary, make([]byte, 1001)); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.Read(ctx)
	if code := websocket.CloseCode(err); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v (%v), want 1009", code, err)
	}
}

// A peer that sends without taking the echoes must find itself unable to go
// on, after the little that the sockets hold, and must get every echo once it
// reads.
func TestBackpressure(t *testing.T) {
	url, _ := start(t)
	nc, r := handshake(t, url)
	const (
		size    = 64 << 10
		bounded = 64 << 20 // far over what Linux lets two sockets hold
	)
	frame := websocket.Header{Fin: true, Opcode: websocket.OpBinary, Masked: true, Length: size}.Append(nil)
	frame = append(frame, make([]byte, size)...) // the mask is zero, so the payload masks to itself
	sent := 0
	for sent < bounded {
		nc.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := nc.Write(frame[sent%len(frame):])
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if sent >= bounded {
		t.Fatalf("the server took %d bytes while none of its echoes was read", sent)
	}
	t.Logf("stuck after %d bytes", sent)

	// The rest of the frame that got stuck goes out while echoes come in.
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	whole := (sent + len(frame) - 1) / len(frame)
	wrote := make(chan error, 1)
	go func() {
		var err error
		if rest := sent % len(frame); rest > 0 {
			_, err = nc.Write(frame[rest:])
		}
		wrote <- err
	}()
	buf := make([]byte, len(frame)-4)
	for i := range whole {
		if _, err := io.ReadFull(r, buf); err != nil {
			t.Fatalf("echo %d of %d: %v", i, whole, err)
		}
		h, n, err := websocket.ParseHeader(buf)
		if err != nil || h.Opcode != websocket.OpBinary || !h.Fin || h.Length != size || n != len(buf)-size {
			t.Fatalf("echo %d of %d: header %+v, %v", i, whole, h, err)
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// A slow handshake is cut off. A connection that was made in time is not.
func TestHandshakeDeadline(t *testing.T) {
	defer func(d time.Duration) { handshakeTimeout = d }(handshakeTimeout)
	handshakeTimeout = 200 * time.Millisecond
	url, stop := start(t)
	c := dial(t, url, nil)
	for _, request := range []string{
		"",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgr",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
	} {
		nc := connect(t, url)
		io.WriteString(nc, request)
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is still there, after %q", request)
		}
	}
	ctx := testContext(t)
	if err := c.Write(ctx, websocket.Text, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(ctx); err != nil || string(p) != "still here" {
		t.Errorf("got %q, %v", p, err)
	}
	c.Close(websocket.StatusNormalClosure, "")
	if err := stop(); err != nil { // before the timeout is restored
		t.Error(err)
	}
}

// A request head that is too large is refused and the connection closed.
func TestHeaderLimit(t *testing.T) {
	url, _ := start(t)
	nc := connect(t, url)
	go func() {
		fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s, want 431", resp.Status)
	}
}

func connect(t *testing.T, url string) net.Conn {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	return nc
}

// handshake opens a connection by hand, for tests that speak frames.
func handshake(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc := connect(t, url)
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", resp.Status)
	}
	return nc, r
}
