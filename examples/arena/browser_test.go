//go:build interop

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/browser"
	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

// startProcess starts the arena as a program of its own.
func startProcess(t *testing.T, path string, args ...string) *exampletest.Process {
	t.Helper()
	return exampletest.Start(t, "The pond is at ", path, args...)
}

// window is somebody's browser tab, for a test that fails when anything does.
type window struct {
	*testing.T
	*browser.Tab
	ctx context.Context
}

// desktop is the viewport of the tests.
var desktop = browser.Viewport{Width: 1280, Height: 800}

func open(t *testing.T, ctx context.Context, b *browser.Chromium, url string) *window {
	t.Helper()
	tab, err := b.NewTab(ctx, "about:blank")
	if err != nil {
		t.Fatal(err)
	}
	w := &window{t, tab, ctx}
	w.ok(tab.SetViewport(ctx, desktop))
	w.ok(tab.Navigate(ctx, url))
	w.wait(`document.querySelector("#welcome").open && document.body.dataset.state === "online"`)
	return w
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

// do runs statements of JavaScript, which may return something, in the page.
func (w *window) do(script string, result any) {
	w.Helper()
	w.ok(w.Eval(w.ctx, "(async () => {"+script+"})()", result))
}

// key presses or releases a key.
func (w *window) key(kind, code string) {
	w.Helper()
	w.do(fmt.Sprintf(`dispatchEvent(new KeyboardEvent(%q, { code: %q, bubbles: true }))`, kind, code), nil)
}

// checkProblems fails the test if anything has gone wrong in the page. Attempts
// to reach a server that is not there are no problem.
func (w *window) checkProblems() {
	w.Helper()
	for _, problem := range w.Problems() {
		if !strings.Contains(problem, "ERR_CONNECTION_REFUSED") {
			w.Error(problem)
		}
	}
}

func startBrowser(t *testing.T) (*browser.Chromium, context.Context) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	if end, ok := t.Deadline(); ok {
		// A run that is out of time ends without cleaning up. Be earlier.
		ctx, cancel = context.WithDeadline(ctx, end.Add(-10*time.Second))
		t.Cleanup(cancel)
	}
	return browser.ForTest(t, ctx, browser.StartChromium), ctx
}

// watch connects a spectator that sees what the server says.
func watch(t *testing.T, ctx context.Context, url string) *page {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, url+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &page{t, ctx, conn}
}

// The game as people play it: a real program, a real browser, and a server that
// goes away and comes back.
func TestInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	path := exampletest.Build(t)
	const bots = 60
	arena := startProcess(t, path, "-addr", "127.0.0.1:0", "-bots", fmt.Sprint(bots))
	ada := open(t, ctx, b, arena.URL)

	// Through the dialog into the water, where others are.
	ada.ok(ada.Type(ctx, "Ada")) // what was suggested is selected
	ada.ok(ada.Press(ctx, "Enter"))
	ada.wait(`document.body.dataset.state === "playing"`)
	ada.wait(fmt.Sprintf(`document.querySelector("#net-players").textContent === "%d"`, bots+1))
	ada.wait(fmt.Sprintf(`document.querySelector("#place").textContent.endsWith(" of %d")`, bots+1))
	ada.wait(`[...document.querySelectorAll("#best bdi")].every((e) => e.textContent.length > 1)`)
	ada.wait(`document.querySelector("#news").textContent.includes("as Ada") || document.querySelector("#news").textContent.includes("you.")`)

	// A key moves the koi that is called Ada, as the server sees it.
	server := watch(t, ctx, arena.URL)
	id := uint8(0)
	for id == 0 {
		for _, p := range expect[roster](server) {
			if p.name == "Ada" && !p.bot {
				id = p.id
			}
		}
	}
	from := *expect[*snapshot](server).find(id)
	key, way := "ArrowRight", 1.0
	if from.x > 0 { // away from the bank
		key, way = "KeyA", -1
	}
	ada.key("keydown", key)
	for {
		if k := expect[*snapshot](server).find(id); (k.x-from.x)*way > 150 && k.vx*way > 100 {
			break
		}
	}
	ada.key("keyup", key)
	for {
		if k := expect[*snapshot](server).find(id); math.Hypot(k.vx, k.vy) < 60 {
			break
		}
	}
	// A click darts, and so does the button.
	for _, target := range []string{"#pond", "#dart"} {
		for expect[*snapshot](server).find(id).dart > 0 {
		}
		ada.ok(ada.Click(ctx, target))
		for expect[*snapshot](server).find(id).dart == 0 {
		}
	}
	// The page draws: what is in the middle changes.
	ada.do(`const pixels = () => document.querySelector("#pond").getContext("2d").getImageData(0, 0, 1280, 800).data.join();
		const before = pixels();
		while (pixels() === before) await new Promise(requestAnimationFrame);`, nil)

	// The network gets worse, and the round trip shows it.
	ada.wait(`/^\d+ ms$/.test(document.querySelector("#net-ping").textContent)`)
	ada.do(`const lag = document.querySelector("#lag"); lag.value = "125"; lag.dispatchEvent(new Event("change"))`, nil)
	ada.wait(`parseInt(document.querySelector("#net-ping").textContent) >= 250`)
	ada.do(`const lag = document.querySelector("#lag"); lag.value = "0"; lag.dispatchEvent(new Event("change"))`, nil)
	ada.wait(`parseInt(document.querySelector("#net-ping").textContent) < 250`)
	for _, name := range []string{"predict", "interpolate"} {
		value := map[string]string{"predict": "net-off", "interpolate": "net-delay"}[name]
		for range 2 {
			ada.ok(ada.Click(ctx, "#"+name))
			ada.wait(fmt.Sprintf(`(document.querySelector("#%s").textContent === "off") !== document.querySelector("#%s").checked`, value, name))
		}
	}

	// Pictures, of a pond in which some crumbs have been eaten.
	ada.wait(`Number(document.querySelector("#best b").textContent) >= 15`)
	for name, v := range map[string]browser.Viewport{
		"phone":        {Width: 390, Height: 844, Scale: 2, Phone: true},
		"phone-dark":   {Width: 390, Height: 844, Scale: 2, Phone: true, Dark: true},
		"small":        {Width: 667, Height: 375, Scale: 2, Phone: true},
		"desktop":      desktop,
		"desktop-dark": {Width: 1280, Height: 800, Dark: true},
	} {
		ada.screenshot(name, v)
	}
	ada.ok(ada.SetViewport(ctx, desktop))
	ada.do(`document.querySelector("#net").open = true`, nil)

	// The server goes, politely and not, and comes back at the same address.
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := arena.End(sig); sig == syscall.SIGTERM && err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
		ada.wait(`document.body.dataset.state === "offline" && document.querySelector("#banner-text").textContent.includes("Next attempt in")`)
		addr := strings.TrimSuffix(strings.TrimPrefix(arena.URL, "http://"), "/")
		arena = startProcess(t, path, "-addr", addr, "-bots", fmt.Sprint(bots))
		ada.wait(`document.body.dataset.state === "playing" && document.querySelector("#banner").hidden`)
		ada.wait(fmt.Sprintf(`document.querySelector("#net-players").textContent === "%d"`, bots+1))
	}

	ada.checkProblems()
}

// screenshot checks that the page fits the viewport, and writes what it shows
// to $SHOTS if there is one.
func (w *window) screenshot(name string, v browser.Viewport) {
	w.Helper()
	w.ok(w.SetViewport(w.ctx, v))
	w.do(fmt.Sprintf(`document.querySelector("#net").open = %v`, !v.Phone), nil)
	w.wait(fmt.Sprintf("innerWidth === %d && innerHeight === %d", v.Width, v.Height))
	// The canvas has the pixels of the screen, and nothing sticks out.
	w.wait(fmt.Sprintf(`document.querySelector("#pond").width === %d`, v.Width*max(1, int(v.Scale))))
	w.wait(`document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight`)
	for _, selector := range []string{"#dart", "#map", "#score", ".best", ".net summary"} {
		w.wait(fmt.Sprintf(`((box) => box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight && box.width > 0)
			(document.querySelector(%q).getBoundingClientRect())`, selector))
	}
	w.do(`for (let i = 0; i < 30; i++) await new Promise(requestAnimationFrame);`, nil)
	png, err := w.Screenshot(w.ctx)
	w.ok(err)
	if dir := os.Getenv("SHOTS"); dir != "" {
		w.ok(os.WriteFile(filepath.Join(dir, "arena-"+name+".png"), png, 0o644))
	}
}

// The page reports a server that stands still with open connections, and not a quiet
// pond.
func TestStillInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	arena := startProcess(t, exampletest.Build(t), "-addr", "127.0.0.1:0", "-bots", "5")
	w := open(t, ctx, b, arena.URL)
	w.ok(w.Press(ctx, "Enter"))
	w.wait(`document.body.dataset.state === "playing"`)
	w.ok(arena.Cmd.Process.Signal(syscall.SIGSTOP))
	w.wait(`!document.querySelector("#banner").hidden && document.querySelector("#banner-text").textContent.includes("the pond stands still")`)
	w.ok(arena.Cmd.Process.Signal(syscall.SIGCONT))
	w.wait(`document.querySelector("#banner").hidden && document.body.dataset.state === "playing"`)
	w.checkProblems()
}

// The page tells a visitor that the pond is full, and lets the visitor in when there is
// room.
func TestFullInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	path := exampletest.Build(t)
	arena := startProcess(t, path, "-addr", "127.0.0.1:0", "-bots", "0", "-max", "1")
	first := open(t, ctx, b, arena.URL)
	first.ok(first.Press(ctx, "Enter"))
	first.wait(`document.body.dataset.state === "playing"`)
	second := open(t, ctx, b, arena.URL)
	second.ok(second.Press(ctx, "Enter"))
	second.wait(`document.querySelector("#banner-text").textContent.startsWith("The pond is full. Next attempt in")`)
	first.checkProblems()
	first.ok(first.Close(ctx))
	second.wait(`document.body.dataset.state === "playing"`)
	second.checkProblems()
}

// A visitor that does not want to play can watch, and play later.
func TestWatchInBrowser(t *testing.T) {
	b, ctx := startBrowser(t)
	arena := startProcess(t, exampletest.Build(t), "-addr", "127.0.0.1:0", "-bots", "5")
	w := open(t, ctx, b, arena.URL)
	w.ok(w.Press(ctx, "Escape"))
	w.wait(`!document.querySelector("#welcome").open && !document.querySelector("#play").hidden`)
	w.wait(`document.querySelector("#net-players").textContent === "5" && document.querySelector("#mine").hidden`)
	w.ok(w.Click(ctx, "#play"))
	w.wait(`document.querySelector("#welcome").open`)
	// A name that is only space is none, and other space is left out.
	w.do(`document.querySelector("#name").value = " \u200b "`, nil)
	w.ok(w.Click(ctx, "#go"))
	w.wait(`document.querySelector("#welcome").open && document.querySelector("#name").value === ""`)
	w.do(`document.querySelector("#name").value = "  Bo   Diddley\u200b "`, nil)
	w.ok(w.Click(ctx, "#varieties label:nth-child(5)"))
	w.ok(w.Click(ctx, "#go"))
	w.wait(`document.body.dataset.state === "playing"`)
	server := watch(t, ctx, arena.URL)
	r := expect[roster](server)
	for len(r) < 6 {
		r = expect[roster](server)
	}
	for _, p := range r {
		if !p.bot && (p.name != "Bo Diddley" || p.koi != 4) {
			t.Errorf("the server knows %+v", p)
		}
	}
	w.checkProblems()
}
