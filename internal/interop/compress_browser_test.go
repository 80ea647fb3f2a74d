//go:build interop

package interop

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/browser"
)

// A page sends every message back. Chromium offers compression on its own, with
// takeover, and says that its window can be limited.
func TestCompressionChromium(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	ctx := testContext(t)
	b := browser.ForTest(t, ctx, browser.StartChromium)
	tab, err := b.NewTab(ctx, site.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name           string
		ours           websocket.CompressionOptions
		server, client direction
		answer         string
	}{
		{"defaults", websocket.CompressionOptions{}, direction{true, 15}, direction{true, 15}, ""},
		{"no takeover", websocket.CompressionOptions{ServerNoContextTakeover: true, ClientNoContextTakeover: true},
			direction{false, 15}, direction{false, 15}, "client_no_context_takeover server_no_context_takeover"},
		{"small windows", websocket.CompressionOptions{WindowBits: 9},
			direction{true, 9}, direction{true, 9}, "client_max_window_bits=9"},
		{"small window and no takeover", websocket.CompressionOptions{WindowBits: 11, ClientNoContextTakeover: true},
			direction{true, 11}, direction{false, 11}, "client_max_window_bits=11 client_no_context_takeover"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startCompressing(t, tt.ours)
			if err := tab.Eval(ctx, `(() => {
				window.ws = new WebSocket("`+s.url+`");
				ws.binaryType = "arraybuffer";
				ws.onmessage = (e) => ws.send(e.data);
			})()`, nil); err != nil {
				t.Fatal(err)
			}
			c := s.accepted(t)
			if err := tab.WaitFor(ctx, `ws.readyState === WebSocket.OPEN`); err != nil {
				t.Fatal(err)
			}
			var answer string
			if err := tab.Eval(ctx, `ws.extensions`, &answer); err != nil {
				t.Fatal(err)
			}
			checkAnswer(t, answer, tt.answer)
			s.traffic.converse(t, c, false, tt.server, tt.client)
		})
	}
	for _, problem := range tab.Problems() {
		t.Error(problem)
	}
}
