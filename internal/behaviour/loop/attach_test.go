package loop_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestAttachTwice(t *testing.T) {
	overLoop(t, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
		r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
		if err := l.Attach(c, conntest.Never(t)); err == nil {
			t.Error("attached twice")
		}
		peer.Write(append(conntest.Text("a"), conntest.CloseFrame(true, 1000, "")...))
		r.Want(t, 1000, "a")
	})
}

// TestAttachInsideWriter: a message that is written as a stream goes on.
func TestAttachInsideWriter(t *testing.T) {
	overLoop(t, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
		w, err := c.Writer(bg, websocket.Binary)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte{'1'}, (16 << 10)))
		r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
		wrote := make(chan error, 1)
		go func() { wrote <- c.Write(bg, websocket.Text, []byte("behind")) }()
		w.Write(bytes.Repeat([]byte{'2'}, (16 << 10)))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		fr := &conntest.FrameReader{NC: peer}
		for _, want := range []conntest.RawFrame{
			{Header: websocket.Header{Opcode: websocket.OpBinary, Length: (16 << 10)}, Payload: "1"}, {Header: websocket.Header{Opcode: websocket.OpContinuation, Length: (16 << 10)}, Payload: "2"},
			{Header: websocket.Header{Opcode: websocket.OpContinuation, Fin: true}, Payload: ""}, {Header: websocket.Header{Opcode: websocket.OpText, Fin: true, Length: 6}, Payload: "behind"},
		} {
			f, err := fr.Next()
			if err != nil || f.Header != want.Header || want.Payload != "" && f.Payload[0] != want.Payload[0] {
				t.Fatalf("%+v, %v, want %+v", f.Header, err, want.Header)
			}
		}
		peer.Write(conntest.CloseFrame(true, 1000, ""))
		r.Want(t, 1000)
	})
}

// TestAttachInsideMessage: a Read was cancelled at every point of a stream,
// before the loop takes over.
func TestAttachInsideMessage(t *testing.T) {
	wire := bytes.Join([][]byte{conntest.Text("first"), conntest.Frame(websocket.OpText, false, true, "sec"), conntest.Frame(websocket.OpPing, true, true, "?"), conntest.Frame(websocket.OpContinuation, true, true, "ond")}, nil)
	for _, k := range conntest.LoopKinds {
		t.Run(k.Name, func(t *testing.T) {
			l := conntest.NewLoop(t, 1)
			for n := range wire {
				c, peer := conntest.Raw(t, k, false, websocket.Options{})
				peer.Write(wire[:n])
				ctx, cancel := context.WithCancel(bg)
				go func() {
					wstest.Until(t, "read", func() bool { return c.Stats().BytesRead == uint64(n) })
					cancel()
				}()
				var log []string
				for {
					_, p, err := c.Read(ctx)
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Fatal(err)
						}
						break
					}
					log = append(log, string(p))
				}
				r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
				peer.Write(append(wire[n:len(wire):len(wire)], conntest.CloseFrame(true, 1000, "")...))
				r.Want(t, 1000, []string{"first", "second"}[len(log):]...)
			}
		})
	}
}
