package compress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// TestAttachCompressed: as TestAttachInsideMessage, with a few kinds of
// compression, and messages both ways after that.
func TestAttachCompressed(t *testing.T) {
	for i, p := range deflatetest.Kinds {
		for _, k := range conntest.LoopKinds {
			t.Run(fmt.Sprint(i, " ", k.Name), func(t *testing.T) {
				opts := websocket.Options{ReadLimit: 8 << 20}
				a, b := k.Pair(t)
				client := compressing(t, a, true, opts, p)
				server := compressing(t, b, false, opts, deflatetest.Mirror(p))
				defer client.CloseNow()
				msg := deflatetest.Text(40_000, 3)
				w, err := client.Writer(bg, websocket.Text)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(msg[:30_000])
				ctx, cancel := context.WithCancel(bg)
				go func() {
					wstest.Until(t, "begun", func() bool { return server.Stats().BytesRead > 0 })
					cancel()
				}()
				if _, _, err := server.Read(ctx); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				l := conntest.NewLoop(t, 1)
				got := make(chan []byte, 1)
				if err := l.Attach(server, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
					got <- bytes.Clone(p)
					if err := c.Write(bg, typ, p); err != nil {
						t.Error(err)
					}
				}}); err != nil {
					t.Fatal(err)
				}
				w.Write(msg[30_000:])
				w.Close()
				for _, want := range [][]byte{msg, deflatetest.Text(5000, 1), deflatetest.Text(300_000, 2), {}} {
					if len(want) != len(msg) {
						if err := client.Write(bg, websocket.Text, want); err != nil {
							t.Fatal(err)
						}
					}
					if p := wstest.Receive(t, got); !bytes.Equal(p, want) {
						t.Fatalf("%d bytes arrived as %d", len(want), len(p))
					}
					if _, p, err := client.Read(bg); err != nil || !bytes.Equal(p, want) {
						t.Fatalf("%d bytes came back as %d: %v", len(want), len(p), err)
					}
				}
			})
		}
	}
}
