//go:build interop

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
)

// window is a browser tab, for a test that fails when anything does.
type window struct {
	*testing.T
	*browser.Tab
	ctx context.Context
}

func (w *window) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *window) wait(condition string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	w.ok(w.WaitFor(ctx, condition))
}

func (w *window) do(script string) {
	w.Helper()
	w.ok(w.Eval(w.ctx, "(() => {"+script+"})()", nil))
}

// The dashboard as people use it: they watch, make the connection slow, and
// choose what that does.
func TestInBrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, url := start(t, config{instruments: 320, rate: 60, seed: 1})
	trading, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.market.run(trading) })
	defer running.Wait()
	defer stop()

	b := browser.ForTest(t, ctx, browser.StartChromium)
	tab, err := b.NewTab(ctx, "about:blank")
	if err != nil {
		t.Fatal(err)
	}
	w := &window{t, tab, ctx}
	w.ok(tab.SetViewport(ctx, browser.Viewport{Width: 1280, Height: 800}))
	w.ok(tab.Navigate(ctx, url))
	const number = `Number(document.querySelector("#%s").textContent.replaceAll(",", ""))`
	w.wait(`document.querySelector("#line").dataset.state === "online"`)
	w.wait(fmt.Sprintf(number, "updates") + " > 100")
	w.wait(`document.querySelector("#price").textContent !== ""`)

	// A slow connection skips what a newer update replaces.
	w.do(`const speed = document.querySelector("#speed"); speed.value = 0; speed.dispatchEvent(new Event("input"))`)
	w.ok(w.Click(ctx, "#slow"))
	w.wait(`document.querySelector("#verdict").textContent.includes("are skipped")`)
	w.wait(`document.querySelector("#conflated").textContent !== "0"`)

	// With a queue nothing is left out, and the page does not say otherwise:
	// what was waiting before does not count.
	w.do(`window.dropped = new Set(); new MutationObserver(() => {
		if (document.querySelector("#verdict").textContent.startsWith("Nothing is left out")) {
			dropped.add(document.querySelector("#dropped").textContent);
			dropped.add(document.querySelector("#conflated").textContent);
		}
	}).observe(document.querySelector("#verdict"), { childList: true })`)
	w.ok(w.Click(ctx, `#policy [data-policy="1"]`))
	w.wait(fmt.Sprintf(number, "pending") + " > 1000")
	w.wait(`document.querySelector("#verdict").textContent.startsWith("Nothing is left out, so all of it waits its turn")`)
	var dropped string
	w.ok(w.Eval(ctx, `[...dropped].join()`, &dropped))
	if dropped != "0" {
		t.Errorf("nothing is left out, and the counters say %s", dropped)
	}
	w.ok(w.Click(ctx, `#policy [data-policy="0"]`))
	w.wait(`document.querySelector("#verdict").textContent.includes("are skipped")`)

	for name, v := range map[string]browser.Viewport{
		"phone":        {Width: 390, Height: 844, Scale: 2, Phone: true},
		"desktop":      {Width: 1280, Height: 800},
		"desktop-dark": {Width: 1280, Height: 800, Dark: true},
	} {
		w.screenshot(name, v)
	}
	if problems := w.Problems(); len(problems) > 0 {
		t.Errorf("%q", problems)
	}
}

// screenshot checks that the page fits the viewport, and writes what it shows
// to $SHOTS if there is one.
func (w *window) screenshot(name string, v browser.Viewport) {
	w.Helper()
	w.ok(w.SetViewport(w.ctx, v))
	w.wait(fmt.Sprintf("innerWidth === %d && innerHeight === %d", v.Width, v.Height))
	w.wait(`document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight`)
	w.ok(w.Eval(w.ctx, `(async () => { for (let i = 0; i < 60; i++) await new Promise(requestAnimationFrame); })()`, nil))
	png, err := w.Screenshot(w.ctx)
	w.ok(err)
	if dir := os.Getenv("SHOTS"); dir != "" {
		w.ok(os.WriteFile(filepath.Join(dir, "dashboard-"+name+".png"), png, 0o644))
	}
}
