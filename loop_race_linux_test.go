package websocket

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// attached returns a client and a server's connection that l reads for h.
func attached(t testing.TB, l *Loop, h EventHandler, opts Options) (client, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	client = newConn(a, connConfig{client: true, opts: opts.withDefaults()})
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	t.Cleanup(func() { client.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// bareAttached is attached with a client that a test drives by hand.
func bareAttached(t testing.TB, l *Loop, h EventHandler, opts Options) (peer *net.TCPConn, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	t.Cleanup(func() { a.Close() })
	a.SetDeadline(time.Now().Add(20 * time.Second))
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return a.(*net.TCPConn), server
}

// untilNoneIn waits until no goroutine is in the function with that name.
func untilNoneIn(t testing.TB, function string) {
	t.Helper()
	until(t, "no goroutine in "+function, func() bool {
		return !strings.Contains(strings.Join(ourGoroutines(), "\n"), function)
	})
}

// Whoever closes a loop, and however often: it is released once, and who is
// late does not write to a descriptor that is somebody else's by then.
func TestLoopReleasedOnce(t *testing.T) {
	l := newTestLoop(t, 2)
	_, server := attached(t, l, funcHandler{}, Options{})
	late := server.looper()
	go server.CloseNow()
	for range 2 {
		if err := l.Shutdown(bg); err != nil {
			t.Error(err)
		}
	}
	l.Close()
	untilNoneIn(t, "(*runner).run")

	var pipes []*os.File
	for range 32 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		pipes = append(pipes, r, w)
	}
	late.look()
	l.engine.stop()
	for i := 0; i < len(pipes); i += 2 {
		pipes[i+1].Close()
		if got, err := io.ReadAll(pipes[i]); err != nil || len(got) > 0 {
			t.Errorf("a pipe that was opened afterwards brings %x, %v", got, err)
		}
	}
}
