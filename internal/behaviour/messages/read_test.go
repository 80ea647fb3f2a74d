package messages_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestReadMethodsAgree(t *testing.T) {
	// Each way of reading gets one message of a cycle, in turn.
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		sizes := []int{0, 3, 200, 5000, 20000, 70000}
		go func() {
			for range 4 {
				for _, n := range sizes {
					client.Write(bg, websocket.Binary, wstest.Pattern(n))
				}
			}
			client.Close(websocket.StatusNormalClosure, "")
		}()
		var got [][]byte
		buf := []byte("prefix")
		for i := 0; i < 4*len(sizes); i++ {
			switch i % 4 {
			case 0:
				_, p, err := server.Read(bg)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			case 1:
				_, p, err := server.ReadAppend(bg, buf)
				if err != nil || !bytes.HasPrefix(p, buf) {
					t.Fatal(err)
				}
				got = append(got, p[len(buf):])
			case 2:
				for m, err := range server.Messages(bg) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, bytes.Clone(m.Data))
					break
				}
			case 3:
				_, r, err := server.Reader(bg)
				if err != nil {
					t.Fatal(err)
				}
				p, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			}
		}
		for i, p := range got {
			if !bytes.Equal(p, wstest.Pattern(sizes[i%len(sizes)])) {
				t.Errorf("message %d: %d bytes, want %d", i, len(p), sizes[i%len(sizes)])
			}
		}
		if _, _, err := server.Read(bg); websocket.CloseCode(err) != websocket.StatusNormalClosure {
			t.Error(err)
		}
	})
}

func TestReaderLeftInTheMiddle(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		go func() {
			for i := range 4 {
				w, _ := client.Writer(bg, websocket.Text)
				for range 3 {
					fmt.Fprintf(w, "%d%s", i, wstest.Pattern(20000))
				}
				w.Close()
			}
		}()
		var readers []io.Reader
		for i := range 3 {
			_, r, err := server.Reader(bg)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
			p := make([]byte, 1)
			if _, err := io.ReadFull(r, p); err != nil || int(p[0]-'0') != i {
				t.Fatalf("message %d begins with %q, %v", i, p, err)
			}
		}
		if _, err := readers[0].Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Error("a reader whose message was left still reads:", err)
		}
		_, p, err := server.Read(bg)
		if err != nil || p[0] != '3' || len(p) != 3*20001 {
			t.Fatal(len(p), err)
		}
	})
}

// TestLoan reads messages and control frames, and closes, while the body of a
// loop holds on to its message.
func TestLoan(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		go func() {
			for i := range 6 {
				client.Write(bg, websocket.Text, bytes.Repeat([]byte{byte('0' + i)}, 50))
			}
			conntest.EchoAll(client)
		}()
		wstest.Until(t, "all there", func() bool { return client.Stats().MessagesWritten == 6 })
		check := func(p []byte, c byte) {
			t.Helper()
			if !bytes.Equal(p, bytes.Repeat([]byte{c}, 50)) {
				t.Errorf("loaned bytes have changed: %q, want %q", p, c)
			}
		}
		for m := range server.Messages(bg) {
			check(m.Data, '0')
			_ = append(m.Data, "scribble over what follows"...)
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '1')
			}
			check(m.Data, '0')
			for inner := range server.Messages(bg) {
				check(inner.Data, '2')
				for innermost := range server.Messages(bg) {
					check(innermost.Data, '3')
					check(inner.Data, '2')
					break
				}
				if _, p, err := server.Read(bg); err != nil {
					t.Fatal(err)
				} else {
					check(p, '4')
				}
				check(inner.Data, '2')
				break
			}
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '5')
			}
			if _, err := server.Ping(bg); err != nil {
				t.Fatal(err)
			}
			if err := server.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			check(m.Data, '0')
			break
		}
	})
}

// TestMessagesEnd: how the peer closes decides whether a loop ends with an
// error.
func TestMessagesEnd(t *testing.T) {
	for code, isError := range map[websocket.StatusCode]bool{
		websocket.StatusNormalClosure: false, websocket.StatusGoingAway: false, websocket.StatusNoStatus: false,
		websocket.StatusProtocolError: true, websocket.StatusInternalError: true, websocket.StatusServiceRestart: true, 4000: true,
	} {
		a, b := bufpipe.New(1000)
		c := conntest.New(t, a, false, websocket.Options{})
		b.Write(conntest.CloseFrame(true, code, ""))
		var got error
		for _, err := range c.Messages(bg) {
			got = err
		}
		if (got != nil) != isError || isError && websocket.CloseCode(got) != code {
			t.Errorf("%v: %v", code, got)
		}
		if _, err := c.NetConn(bg, websocket.Text).Read(make([]byte, 1)); (err == io.EOF) == isError {
			t.Errorf("%v: a stream ends with %v", code, err)
		}
		c.CloseNow()
		b.Close()
	}
}
