//go:build interop

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
)

// tab is a page in a browser, for a test that fails when anything does.
type tab struct {
	*browser.Tab
	t   *testing.T
	ctx context.Context
}

// open opens the page of a server in a room, as a person of that name, and
// waits until it says that it is connected to that server.
func open(t *testing.T, ctx context.Context, b *browser.Chromium, p *process, name string) tab {
	t.Helper()
	tb, err := b.NewTab(ctx, p.url+"#tea")
	if err != nil {
		t.Fatal(err)
	}
	w := tab{tb, t, ctx}
	// Servers at different ports are different origins, so each page asks.
	w.wait(`document.querySelector("#name-dialog").open`)
	w.ok(w.Type(ctx, name)) // what was suggested is selected
	w.ok(w.Press(ctx, "Enter"))
	w.online(p)
	return w
}

func (w tab) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w tab) wait(condition string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	w.ok(w.WaitFor(ctx, condition))
}

func (w tab) online(p *process) {
	w.t.Helper()
	w.wait(fmt.Sprintf(`document.querySelector("#line").dataset.state === "online" &&
		document.querySelector("#line").textContent.includes(%q)`, host(w.t, p.url)))
}

// people waits until that many are in the room.
func (w tab) people(n int) {
	w.t.Helper()
	w.wait(fmt.Sprintf(`document.querySelector("#people-count").textContent === "%d"`, n))
}

// say says something, which all of those hear, and hear once.
func (w tab) say(text string, all ...tab) {
	w.t.Helper()
	w.ok(w.Click(w.ctx, "#text"))
	w.ok(w.Type(w.ctx, text))
	w.ok(w.Press(w.ctx, "Enter"))
	for _, other := range all {
		other.sees(text)
	}
}

func (w tab) sees(text string) {
	w.t.Helper()
	w.wait(fmt.Sprintf(`[...document.querySelectorAll("#log .text")].filter((e) => e.textContent === %q).length === 1`, text))
}

// Two pages at two servers are in one room, whatever happens to the servers.
func TestInBrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b := browser.ForTest(t, ctx, browser.StartChromium)
	first := start(t, "-addr", "127.0.0.1:0", "-broker", "127.0.0.1:0")
	second := start(t, "-addr", "127.0.0.1:0", "-nats", first.nats)
	ada := open(t, ctx, b, first, "Ada")
	ada.say("Is this thing on?", ada)
	bo := open(t, ctx, b, second, "Bo")
	bo.sees("Is this thing on?") // what was said at the other server before
	ada.people(2)
	bo.people(2)
	bo.say("I am at the other server, and hear you.", ada, bo)
	ada.say("You are one room away, and one process.", ada, bo)

	// A server goes, politely, and the other's page goes on; what is said in the
	// meantime is there when its own page is back.
	if err := second.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	ada.people(1)
	ada.say("Bo's server is being updated.", ada)
	second = start(t, "-addr", host(t, second.url), "-nats", first.nats)
	bo.online(second)
	bo.sees("Bo's server is being updated.")
	ada.people(2)
	bo.say("Back again, and nothing missed.", ada, bo)

	// The one with the broker crashes. The other goes on alone, and they find
	// each other again.
	first.end(syscall.SIGKILL)
	bo.say("Now it is quiet here.", bo)
	first = start(t, "-addr", host(t, first.url), "-broker", host(t, first.nats))
	ada.online(first)
	ada.people(2)
	bo.people(2)
	ada.sees("Now it is quiet here.")
	ada.say("No longer.", ada, bo)

	for name, v := range map[string]browser.Viewport{
		"phone":   {Width: 390, Height: 844, Scale: 2, Phone: true},
		"desktop": {Width: 1280, Height: 800},
	} {
		ada.screenshot(name, v)
	}
	for _, w := range []tab{ada, bo} {
		for _, problem := range w.Problems() {
			if !strings.Contains(problem, "ERR_CONNECTION_REFUSED") { // while its server was away
				t.Error(problem)
			}
		}
	}
}

// screenshot writes what the page shows to $SHOTS, if there is one.
func (w tab) screenshot(name string, v browser.Viewport) {
	w.t.Helper()
	w.ok(w.SetViewport(w.ctx, v))
	w.wait(fmt.Sprintf("innerWidth === %d && document.documentElement.scrollWidth === innerWidth", v.Width))
	w.wait(`document.getAnimations().every((a) => !(a instanceof CSSTransition))`)
	png, err := w.Screenshot(w.ctx)
	w.ok(err)
	if dir := os.Getenv("SHOTS"); dir != "" {
		w.ok(os.WriteFile(filepath.Join(dir, "chat-cluster-"+name+".png"), png, 0o644))
	}
}
