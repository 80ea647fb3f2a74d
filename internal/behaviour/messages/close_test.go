package messages_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestCloseByEitherSide(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		// The server closes while the client's reader waits.
		read := make(chan error, 1)
		go func() {
			_, _, err := conntest.Reads(client).Read(bg)
			read <- err
		}()
		if err := server.Close(4321, "why not"); err != nil {
			t.Error("Close:", err)
		}
		var ce *websocket.CloseError
		if err := <-read; !errors.As(err, &ce) || ce.Code != 4321 || ce.Reason != "why not" || !ce.Remote || !errors.Is(err, net.ErrClosed) {
			t.Errorf("the client's Read: %v", err)
		}
		if _, _, err := conntest.Reads(server).Read(bg); websocket.CloseCode(err) != 4321 || errors.As(err, &ce) && ce.Remote {
			t.Errorf("the server's Read: %v", err)
		}
		if err := client.Write(bg, websocket.Text, nil); websocket.CloseCode(err) != 4321 {
			t.Errorf("the client's Write: %v", err)
		}
		if _, err := client.Ping(bg); websocket.CloseCode(err) != 4321 {
			t.Errorf("the client's Ping: %v", err)
		}
		if _, err := client.Writer(bg, websocket.Text); websocket.CloseCode(err) != 4321 {
			t.Errorf("the client's Writer: %v", err)
		}
		<-client.Context().Done()
		if cause := context.Cause(client.Context()); websocket.CloseCode(cause) != 4321 {
			t.Errorf("the client's context: %v", cause)
		}
		for range 2 {
			if err := client.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error("the client's own Close:", err)
			}
			if err := client.CloseNow(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCloseFromBothSidesAtOnce(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		var wg sync.WaitGroup
		for _, c := range []*websocket.Conn{client, server, client, server} {
			wg.Go(func() {
				if err := c.Close(websocket.StatusGoingAway, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// TestCloseDiscards closes while the peer keeps sending and nobody reads.
func TestCloseDiscards(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		sent := make(chan error, 1)
		go func() {
			for {
				if err := client.Write(bg, websocket.Binary, make([]byte, 10_000)); err != nil {
					sent <- err
					return
				}
			}
		}()
		go func() {
			for {
				if _, _, err := conntest.Reads(client).Read(bg); err != nil {
					return
				}
			}
		}()
		wstest.Until(t, "messages under way", func() bool { return client.Stats().MessagesWritten > 0 })
		if err := server.Close(websocket.StatusPolicyViolation, "enough"); err != nil {
			t.Error(err)
		}
		if err := <-sent; websocket.CloseCode(err) != websocket.StatusPolicyViolation {
			t.Error(err)
		}
	})
}

func TestTransportErrors(t *testing.T) {
	for name, breakIt := range map[string]func(nc net.Conn){
		"closed":               func(nc net.Conn) { nc.Close() },
		"closed inside header": func(nc net.Conn) { nc.Write([]byte{0x81}); nc.Close() },
		"closed inside frame":  func(nc net.Conn) { nc.Write(conntest.Frame(websocket.OpText, true, true, "abc")[:8]); nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			conntest.OverAllRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
				go breakIt(peer)
				_, _, err := conntest.Reads(c).Read(bg)
				if websocket.CloseCode(err) != websocket.StatusAbnormalClosure || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
				if err := c.Write(bg, websocket.Text, nil); websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
					t.Errorf("Write: %v", err)
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

// TestViolationLingers: the peer gets its close frame although more of its
// own bytes are on their way than the transport takes.
func TestViolationLingers(t *testing.T) {
	conntest.OverAllRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		wrote := make(chan error, 1)
		go func() {
			_, err := peer.Write(append(conntest.Frame(websocket.OpContinuation, true, true, ""), make([]byte, 4<<20)...))
			wrote <- err
		}()
		if _, _, err := conntest.Reads(c).Read(bg); websocket.CloseCode(err) != websocket.StatusProtocolError {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil {
			t.Error("the peer's write:", err)
		}
		p, err := io.ReadAll(peer)
		if h, n, _ := websocket.ParseHeader(p); err != nil || h.Opcode != websocket.OpClose || len(p) != n+int(h.Length) {
			t.Errorf("got % x, %v", p, err)
		}
	})
}

// TestNothingFollowsClose: "the application MUST NOT send any more data frames
// after sending a Close frame" (section 5.5.1), and we no pongs either.
func TestNothingFollowsClose(t *testing.T) {
	conntest.OverAllRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		go c.Close(websocket.StatusGoingAway, "")
		r := &conntest.FrameReader{NC: peer}
		if f, err := r.Next(); err != nil || f.Opcode != websocket.OpClose {
			t.Fatalf("%+v, %v", f, err)
		}
		peer.Write(append(conntest.Frame(websocket.OpPing, true, true, "?"), conntest.Frame(websocket.OpText, true, true, "?")...))
		wstest.Until(t, "ping read", func() bool { return c.Stats().BytesRead >= 14 })
		peer.Write(conntest.CloseFrame(true, websocket.StatusGoingAway, ""))
		if f, err := r.Next(); err != io.EOF {
			t.Errorf("%+v, %v", f, err)
		}
	})
}
