// Package browser drives a headless Chromium or Firefox in tests. Both are
// driven by JSON over a WebSocket, Chromium by its DevTools protocol and Firefox
// by WebDriver BiDi. So the driver needs only this project's own client, and tests
// the client against two real servers.
//
// Browser and Page are common to both. A Tab, which is Chromium's Page, also
// clicks and types, and collects the errors of the page. All methods are safe for
// concurrent use, and each is bounded by its context.
package browser

import (
	"context"
	"testing"
	"time"
)

// Browser is a running browser with a profile of its own. It makes no
// connection but to the pages that it is told to open, and accepts any
// certificate.
type Browser interface {
	// OpenPage opens a page. It returns when the document has begun to load,
	// and can be evaluated in.
	OpenPage(ctx context.Context, url string) (Page, error)
	// Close ends the browser and removes its profile. It returns when the
	// process is gone.
	Close() error
}

// Page is a page that is open in a browser.
type Page interface {
	// Navigate loads another page in the place of this one, as OpenPage does.
	Navigate(ctx context.Context, url string) error
	// Eval evaluates a JavaScript expression. If its value is a promise, Eval
	// waits for the promise. The value is decoded from JSON into result, unless
	// result is nil. An exception becomes an error.
	Eval(ctx context.Context, expression string, result any) error
	// Screenshot returns an image of the page, as PNG.
	Screenshot(ctx context.Context) ([]byte, error)
	// Close closes the page, and returns when it is closed.
	Close(ctx context.Context) error
}

var (
	_ Browser = (*Chromium)(nil)
	_ Browser = (*Firefox)(nil)
)

// closeTimeout is how long a browser may take to end after it was asked to.
const closeTimeout = 5 * time.Second

// ForTest starts a browser, by StartChromium or StartFirefox, and closes it at
// the end of the test.
func ForTest[B Browser](t testing.TB, ctx context.Context, start func(context.Context) (B, error)) B {
	t.Helper()
	b, err := start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// obj is a JSON object of parameters.
type obj = map[string]any

// abbreviate makes an expression fit into an error message.
func abbreviate(expression string) string {
	if len(expression) > 200 {
		return expression[:200] + "…"
	}
	return expression
}
