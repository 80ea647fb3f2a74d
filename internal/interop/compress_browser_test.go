//go:build interop

package interop

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/browser"
)

// A page sends every message back. Both browsers offer compression on their own,
// with takeover. Chromium says that its window can be limited. Firefox does not,
// so it is asked to do without takeover, and does not tell pages the parameters.
func TestCompressionBrowsers(t *testing.T) {
	t.Run("Chromium", func(t *testing.T) {
		testCompressionIn(t, browser.ForTest(t, testContext(t), browser.StartChromium), false)
	})
	t.Run("Firefox", func(t *testing.T) {
		testCompressionIn(t, browser.ForTest(t, testContext(t), browser.StartFirefox), true)
	})
}

func testCompressionIn(t *testing.T, b browser.Browser, firefox bool) {
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	ctx := testContext(t)
	page, err := b.OpenPage(ctx, site.URL)
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
			if firefox {
				tt.answer = ""
				if tt.client.bits < 15 {
					tt.client = direction{false, 15}
				}
			}
			s := startCompressServer(t, tt.ours)
			var answer string
			if err := page.Eval(ctx, `new Promise((resolve, reject) => {
				window.ws = new WebSocket("`+s.url+`");
				ws.binaryType = "arraybuffer";
				ws.onmessage = (e) => ws.send(e.data);
				ws.onopen = () => resolve(ws.extensions);
				ws.onerror = reject;
			})`, &answer); err != nil {
				t.Fatal(err)
			}
			c := s.accept(t)
			checkAnswer(t, answer, tt.answer)
			s.log.exchangeAll(t, c, false, tt.server, tt.client)
		})
	}
}
