package messages_test

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestManyWriters(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		const writers, each = 8, 40
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for j := range each {
					p := bytes.Repeat([]byte{byte(i)}, j*700+1)
					if i%4 == 3 {
						w, err := client.Writer(bg, websocket.Binary)
						if err != nil {
							t.Error(err)
							return
						}
						for len(p) > 0 {
							n := min(len(p), 9000)
							w.Write(p[:n])
							p = p[n:]
						}
						if err := w.Close(); err != nil {
							t.Error(err)
						}
					} else if err := client.Write(bg, websocket.Binary, p); err != nil {
						t.Error(err)
					}
					if j%10 == 0 {
						go client.Ping(t.Context())
					}
				}
			})
		}
		next := make([]int, writers)
		for range writers * each {
			_, p, err := conntest.Reads(server).Read(bg)
			if err != nil {
				t.Fatal(err)
			}
			i := int(p[0])
			if want := next[i]*700 + 1; len(p) != want || bytes.Count(p, p[:1]) != want {
				t.Fatalf("writer %d: message of %d bytes is mixed up or out of order, want %d", i, len(p), want)
			}
			next[i]++
		}
		wg.Wait()
	})
}

// TestWriteWithOwnContext: the connection's own context ends when it begins to
// close. That must not cut the frame that the close frame is to follow.
func TestWriteWithOwnContext(t *testing.T) {
	conntest.Over(t, websocket.Options{ReadLimit: 16 << 20}, func(t *testing.T, client, server *websocket.Conn) {
		go func() { server.Write(server.Context(), websocket.Binary, make([]byte, 16<<20)) }()
		_, r, err := client.Reader(bg) // now it is in the middle of the frame
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- server.Close(websocket.StatusTryAgainLater, "slow") }()
		<-server.Context().Done()
		if n, err := io.Copy(io.Discard, r); n != 16<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := wstest.Third(client.Read(bg)); websocket.CloseCode(err) != websocket.StatusTryAgainLater {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := server.Write(server.Context(), websocket.Text, nil); websocket.CloseCode(err) != websocket.StatusTryAgainLater {
			t.Error(err)
		}
	})
}

// TestWritersAndWatchers: all that looks at the writing side, at once, while
// messages pass with and without the lock.
func TestWritersAndWatchers(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		const writers, each = 4, 500
		var writing, watching sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			watching.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if n := client.Buffered(); n < 0 || n > 1<<20 {
						t.Errorf("%d bytes wait", n)
					}
					if n := client.Stats().MessagesWritten; n > writers*each {
						t.Errorf("%d messages", n)
					}
					if i%50 == 0 {
						client.Ping(bg)
					}
				}
			})
		}
		for range writers {
			writing.Go(func() {
				for range each {
					if err := client.Write(bg, websocket.Binary, make([]byte, 100)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() {
			for {
				if _, _, err := conntest.Reads(client).Read(bg); err != nil {
					return // for the pongs
				}
			}
		}()
		for range writers * each {
			if _, p, err := conntest.Reads(server).Read(bg); err != nil || len(p) != 100 {
				t.Fatal(len(p), err)
			}
		}
		writing.Wait()
		reading := make(chan struct{})
		go func() { // answers the last pings
			defer close(reading)
			conntest.Reads(server).Read(bg)
		}()
		close(stop)
		watching.Wait()
		wstest.Until(t, "nothing waits in the end", func() bool { return client.Buffered() == 0 })
		if n := client.Stats().MessagesWritten; n != writers*each {
			t.Errorf("%d messages counted, want %d", n, writers*each)
		}
		client.CloseNow()
		<-reading
	})
}
