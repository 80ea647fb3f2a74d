//go:build interop

package interop

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// The scripts know these texts, too: one has characters of one to four bytes,
// the other is long enough for Writer to send it in fragments.
const text = "Grüße, 世界 🙂"

var longText = strings.Repeat(text, 5000)

// Ours is the server: examples/echo, and scripted beside it for what echo
// never does. The checks are in the peer's script.
func TestServer(t *testing.T) {
	want := []string{"text", "binary", "empty", "fragments", "16 MiB", "ping", "close", "too big",
		"server fragments", "server ping", "server close", "close reason", "subprotocol"}
	forEachPeer(t, func(t *testing.T, p peer) {
		echo, echoURL := startEcho(t)
		reports := make(chan websocket.CloseError, 10)
		scriptedURL := startScripted(t, reports)
		client := p.start(t, "client", echoURL, scriptedURL)

		for _, name := range want {
			t.Run(name, func(t *testing.T) {
				line := client.line(t)
				if line != "ok "+name {
					t.Error(line)
				}
			})
		}
		if err := client.wait(); err != nil {
			t.Errorf("client script: %v", err)
		}
		if got := <-reports; got.Code != 4002 || got.Reason != "Tschüß 🙂" || !got.Remote {
			t.Errorf("closed by the client with 4002 and a reason, our server saw %+v", got)
		}
		echo.stop(t)
	})
}

// startScripted starts a server of ours and returns its URL.
//
//	fragments             sends longText, in fragments, and an empty binary message
//	ping                  pings, and tells when the pong has come
//	close?code=C&reason=R closes
//	report                sends to reports how the client closes
//	subprotocol           sends the name of the subprotocol
func startScripted(t *testing.T, reports chan<- websocket.CloseError) (url string) {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		ctx := testContext(t)
		query := c.Request().URL.Query()
		var err error
		switch c.Request().URL.Path {
		case "/fragments":
			err = writeMessages(ctx, c)
		case "/ping":
			if _, err = c.Ping(ctx); err == nil {
				err = c.Write(ctx, websocket.Text, []byte("pong"))
			}
		case "/close":
			code, _ := strconv.Atoi(query.Get("code"))
			err = c.Close(websocket.StatusCode(code), query.Get("reason"))
		case "/report":
			var end *websocket.CloseError
			if _, _, err := c.Read(ctx); errors.As(err, &end) {
				reports <- *end
			}
		case "/subprotocol":
			err = c.Write(ctx, websocket.Text, []byte(c.Subprotocol()))
		}
		if err != nil {
			t.Errorf("%v: %v", c.Request().URL, err)
		}
	}}
	ws.Subprotocols = []string{"soup", "stew"}
	var n frames
	ws.Trace = n.trace()
	server := httptest.NewServer(ws)
	t.Cleanup(func() {
		if err := ws.Shutdown(testContext(t)); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		server.Close()
		if !reaches(testContext(t), &n.out, 2) {
			t.Errorf("a long text went out in %d fragments", n.out.Load())
		}
	})
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/"
}

// writeMessages streams longText and an empty binary message.
func writeMessages(ctx context.Context, c *websocket.Conn) error {
	w, err := c.Writer(ctx, websocket.Text)
	if err != nil {
		return err
	}
	for part := range slices.Chunk([]byte(longText), 1000) { // cuts inside of characters
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if w, err = c.Writer(ctx, websocket.Binary); err != nil {
		return err
	}
	return w.Close()
}

// A server that is stopped tells its clients.
func TestServerShutdown(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		echo, url := startEcho(t)
		client := p.start(t, "client", url)
		if line := client.line(t); line != "open" {
			t.Fatalf("client says %q", line)
		}
		echo.stop(t)
		if line := client.line(t); strings.TrimSpace(line) != "closed 1001" {
			t.Errorf("client says %q", line)
		}
		if err := client.wait(); err != nil {
			t.Errorf("client script: %v", err)
		}
	})
}
