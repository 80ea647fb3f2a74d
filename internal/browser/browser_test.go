//go:build interop

package browser

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const testPage = `<!doctype html><title>Test</title>
<body style="margin: 0; background: rgb(10, 200, 30)">
<button style="margin: 50px" onclick="this.textContent = 'clicked'">button</button>
<form onsubmit="document.title = this.word.value; return false"><input name="word"></form>
</body>`

func startForTest(t *testing.T) (*Browser, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	b, err := Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(b.profile); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the profile is still there: %v", err)
		}
	})
	return b, ctx
}

func TestTab(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(testPage))
	}))
	defer site.Close()
	b, ctx := startForTest(t)
	tab, err := b.NewTab(ctx, site.URL)
	if err != nil {
		t.Fatal(err)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(tab.WaitFor(ctx, `document.title === "Test"`))

	t.Run("values", func(t *testing.T) {
		var n int
		ok(tab.Eval(ctx, `new Promise((resolve) => setTimeout(() => resolve(6 * 7), 20))`, &n))
		if n != 42 {
			t.Errorf("got %d", n)
		}
		err := tab.Eval(ctx, `missing.thing`, nil)
		if err == nil || !strings.Contains(err.Error(), "missing is not defined") {
			t.Errorf("an exception is %v", err)
		}
		if err := tab.Eval(ctx, `undefined`, &n); err == nil {
			t.Error("undefined became a number")
		}
	})

	// DevTools sends and takes messages of several megabytes in one frame.
	t.Run("large", func(t *testing.T) {
		const size = 5 << 20
		var text string
		ok(tab.Eval(ctx, `"0123456789abcdef".repeat(5 << 16)`, &text))
		if text != strings.Repeat("0123456789abcdef", size/16) {
			t.Errorf("a text of %d bytes is not what it should be", len(text))
		}
		var n int
		ok(tab.Eval(ctx, `"`+text+`".length`, &n))
		if n != size {
			t.Errorf("Chromium got %d bytes of %d", n, size)
		}
	})

	t.Run("input", func(t *testing.T) {
		ok(tab.Click(ctx, "button"))
		ok(tab.WaitFor(ctx, `document.querySelector("button").textContent === "clicked"`))
		ok(tab.Click(ctx, "input"))
		ok(tab.Type(ctx, "wörd"))
		ok(tab.Press(ctx, "Enter"))
		ok(tab.WaitFor(ctx, `document.title === "wörd"`))
		if err := tab.Press(ctx, "Any"); err == nil {
			t.Error("the Any key was pressed")
		}
	})

	t.Run("reload", func(t *testing.T) {
		ok(tab.Eval(ctx, `setTimeout(() => location.reload(), 50)`, nil))
		ok(tab.WaitFor(ctx, `document.title === "Test"`))
	})

	t.Run("screenshot", func(t *testing.T) {
		ok(tab.SetViewport(ctx, Viewport{Width: 200, Height: 100, Scale: 2, Dark: true}))
		var dark bool
		ok(tab.Eval(ctx, `matchMedia("(prefers-color-scheme: dark)").matches`, &dark))
		if !dark {
			t.Error("it is not dark")
		}
		data, err := tab.Screenshot(ctx)
		ok(err)
		img, err := png.Decode(bytes.NewReader(data))
		ok(err)
		if size := img.Bounds().Size(); size.X != 400 || size.Y != 200 {
			t.Errorf("it is %v", size)
		}
		if r, g, b, _ := img.At(1, 1).RGBA(); r>>8 != 10 || g>>8 != 200 || b>>8 != 30 {
			t.Errorf("the corner is %d %d %d", r>>8, g>>8, b>>8)
		}
	})

	t.Run("problems", func(t *testing.T) {
		tab.ForgetProblems()
		ok(tab.Eval(ctx, `console.log("fine"); console.error("not", "fine");
			setTimeout(() => { throw new Error("thrown") }); fetch("/missing").then(() => 0)`, nil))
		// They come on the same connection, in order, but some a little later.
		want := []string{"console: not fine", "thrown", "404"}
		for !slices.ContainsFunc(tab.Problems(), func(s string) bool { return strings.Contains(s, "404") }) || len(tab.Problems()) < len(want) {
			ok(tab.Eval(ctx, `new Promise((resolve) => setTimeout(resolve, 5, 0))`, nil))
		}
		got := strings.Join(tab.Problems(), "\n")
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%q is not among the problems:\n%s", text, got)
			}
		}
		if len(tab.Problems()) != len(want) {
			t.Errorf("the problems are:\n%s", got)
		}
	})

	t.Run("timeout", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		err := tab.WaitFor(short, `document.title === "never"`)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "button") {
			t.Errorf("the error is %v", err)
		}
		ok(tab.Eval(ctx, `0`, nil)) // that has done no harm
	})

	t.Run("missing page", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		if err := tab.Navigate(ctx, gone.URL); err == nil {
			t.Error("a server that is not there was reached")
		}
	})

	ok(tab.Close(ctx))
	if err := tab.Eval(ctx, `0`, nil); err == nil {
		t.Error("a closed tab evaluates")
	}
}

// Calls fail when the browser dies, and do not hang.
func TestDeath(t *testing.T) {
	b, ctx := startForTest(t)
	tab, err := b.NewTab(ctx, "about:blank")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- tab.Eval(ctx, `new Promise(() => {})`, nil) }()
	if err := tab.Eval(ctx, `0`, nil); err != nil {
		t.Fatal(err)
	}
	b.cmd.Process.Kill()
	if err := <-done; err == nil || ctx.Err() != nil {
		t.Errorf("the call ended with %v", err)
	}
}

func TestNoBrowser(t *testing.T) {
	t.Setenv("CHROMIUM", "/nonexistent/chromium")
	if b, err := Start(t.Context()); err == nil {
		b.Close()
		t.Error("started nothing")
	}
	t.Setenv("CHROMIUM", "false")
	if b, err := Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended at once") {
		if err == nil {
			b.Close()
		}
		t.Errorf("a program that is no browser: %v", err)
	}
}
