//go:build interop

package browser

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTab(t *testing.T) {
	site := startSite(t)
	ctx := testContext(t)
	b := ForTest(t, ctx, StartChromium)
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
}
