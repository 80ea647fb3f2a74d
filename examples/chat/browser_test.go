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
	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

// startProcess starts the chat as a program of its own.
func startProcess(t *testing.T, path, addr string) *exampletest.Process {
	t.Helper()
	return exampletest.Start(t, "The chat is at ", path, "-addr", addr)
}

// window is somebody's browser tab, for a test that fails when anything does.
type window struct {
	*testing.T
	*browser.Tab
	ctx  context.Context
	name string
}

// open opens the chat in a new tab and goes through the dialog for a name.
func open(t *testing.T, ctx context.Context, b *browser.Chromium, url, name string) *window {
	t.Helper()
	tab, err := b.NewTab(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	w := &window{t, tab, ctx, name}
	// The first tab of a browser is asked, the others are called the same until
	// they want to be called something else.
	w.wait(`document.querySelector("#name-dialog").open || document.querySelector("#line").dataset.state === "online"`)
	var asked bool
	w.ok(tab.Eval(ctx, `document.querySelector("#name-dialog").open`, &asked))
	if !asked {
		w.ok(tab.Click(ctx, "#change-name"))
		w.wait(`document.querySelector("#name-dialog").open`)
	}
	w.ok(tab.Type(ctx, name)) // what was suggested is selected
	w.ok(tab.Press(ctx, "Enter"))
	w.wait(fmt.Sprintf(`document.querySelector("#my-name").textContent === %q`, name))
	w.online()
	return w
}

func (w *window) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%s: %v", w.name, err)
	}
}

// patience is how long a condition may take to come true. The longest one is
// the round trip that the server measures after eight seconds of silence.
const patience = 30 * time.Second

func (w *window) wait(condition string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	w.ok(w.WaitFor(ctx, condition))
}

func (w *window) online() {
	w.Helper()
	w.wait(`document.querySelector("#line").dataset.state === "online"`)
}

func (w *window) offline() {
	w.Helper()
	w.wait(`document.querySelector("#line").dataset.state === "offline" && !document.querySelector("#banner").hidden`)
}

// say writes a message and sends it off.
func (w *window) say(text string) {
	w.Helper()
	w.ok(w.Click(w.ctx, "#text"))
	w.ok(w.Type(w.ctx, text))
	w.ok(w.Press(w.ctx, "Enter"))
}

// count is JavaScript for the number of messages with that text, in the part of
// the page that a selector finds.
func count(where, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("%s .text")].filter((e) => e.textContent === %q).length`, where, text)
}

// sees waits until a message is there, and checks that it is there once, as
// one's own or somebody else's.
func (w *window) sees(text string, own bool) {
	w.Helper()
	where := "#log .message:not(.mine)"
	if own {
		where = "#log .message.mine"
	}
	w.wait(count(where, text) + " > 0")
	var n int
	w.ok(w.Eval(w.ctx, count("#scroll", text), &n))
	if n != 1 {
		w.Errorf("%s sees %q %d times", w.name, text, n)
	}
}

// checkProblems fails the test if anything has gone wrong in the page. Attempts
// to reach a server that is not there are no problem.
func (w *window) checkProblems() {
	w.Helper()
	for _, problem := range w.Problems() {
		if !strings.Contains(problem, "ERR_CONNECTION_REFUSED") {
			w.Errorf("%s: %s", w.name, problem)
		}
	}
}

// The chat as people use it: a real program, a real browser, and a server that
// goes away and comes back.
func TestInBrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if end, ok := t.Deadline(); ok {
		// A run that is out of time ends without cleaning up. Be earlier.
		ctx, cancel = context.WithDeadline(ctx, end.Add(-10*time.Second))
		defer cancel()
	}
	path := exampletest.Build(t)
	chat := startProcess(t, path, "127.0.0.1:0")
	b := browser.ForTest(t, ctx, browser.StartChromium)

	ada := open(t, ctx, b, chat.URL, "Ada")
	bo := open(t, ctx, b, chat.URL, "Bo")

	// Messages go both ways, and are text whatever is in them.
	ada.say("Good morning!")
	ada.sees("Good morning!", true)
	bo.sees("Good morning!", false)
	const markup = `<img src=x onerror="console.error('markup')"> & <b>more</b>`
	bo.say(markup)
	bo.sees(markup, true)
	ada.sees(markup, false)

	// Presence, and typing.
	ada.wait(`[...document.querySelectorAll("#people-list bdi")].map((e) => e.textContent).join() === "Ada,Bo"`)
	bo.wait(`[...document.querySelectorAll("#people-list bdi")].map((e) => e.textContent).join() === "Bo,Ada"`)
	ada.ok(ada.Click(ctx, "#text"))
	ada.ok(ada.Type(ctx, "As I was saying"))
	bo.wait(`document.querySelector("#typing-text").textContent === "Ada is typing"`)
	ada.ok(ada.Press(ctx, "Enter"))
	bo.sees("As I was saying", false)
	bo.wait(`document.querySelector("#typing-text").textContent === ""`)

	// A newcomer gets the history. The others see a visitor leave.
	cy := open(t, ctx, b, chat.URL, "Cy")
	cy.sees("Good morning!", false)
	cy.sees(markup, false)
	cy.sees("As I was saying", false)
	bo.wait(`document.querySelector("#people-count").textContent === "3"`)

	// A room of one's own, by its link; the others see it in their list.
	cy.ok(cy.Eval(ctx, `location.hash = "tea"`, nil))
	cy.wait(`document.querySelector("#room-name").textContent === "tea" && document.querySelector("#people-count").textContent === "1"`)
	bo.wait(`document.querySelector("#room-list a[href='#tea'] .number")?.firstChild.data === "1"`)
	cy.checkProblems()
	cy.ok(cy.Close(ctx))
	bo.wait(`document.querySelector("#people-count").textContent === "2"`)

	// A message that was not acknowledged outlives a reload, and saying it
	// again does not make it two.
	for range 2 {
		ada.ok(ada.Eval(ctx, `sessionStorage.setItem("chat.outbox", '[{"id":"same","room":"lobby","text":"Only once"}]')`, nil))
		ada.ok(ada.Eval(ctx, `location.reload()`, nil))
		ada.wait(`document.readyState === "complete" && document.querySelector("#line").dataset.state === "online"`)
		ada.wait(`sessionStorage.getItem("chat.outbox") === "[]"`)
		ada.sees("Only once", true)
		bo.sees("Only once", false)
	}

	// A visitor that sends too much at once has to wait, but all messages arrive,
	// in order.
	bo.ok(bo.Eval(ctx, `for (let i = 0; i < 25; i++) {
		document.querySelector("#text").value = "Number " + i;
		document.querySelector("#composer").requestSubmit();
	}`, nil))
	ada.wait(`[...document.querySelectorAll("#log .text")].slice(-25).every((e, i) => e.textContent === "Number " + i)`)
	bo.wait(`document.querySelector("#unsent").childElementCount === 0`)

	// The server goes, politely and not, and comes back at the same address.
	for i, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		err := chat.End(sig)
		if sig == syscall.SIGTERM && err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
		ada.offline()
		bo.offline()
		kept := fmt.Sprintf("Is anybody there? (%d)", i)
		ada.say(kept)
		ada.wait(count("#unsent .pending", kept) + " === 1")
		chat = startProcess(t, path, chat.Addr())
		ada.online()
		bo.online()
		ada.sees(kept, true)
		bo.sees(kept, false)
		back := fmt.Sprintf("Here I am (%d)", i)
		bo.say(back)
		bo.sees(back, true)
		ada.sees(back, false)
		ada.wait(`document.querySelector("#people-count").textContent === "2"`)
		ada.sees(kept, true) // and nothing has come twice in the meantime
		bo.sees(kept, false)
	}

	// The round trip, as the page has measured it, and then as the server has.
	const number = `/^\d+(\.\d)? ms$/.test(document.querySelector("%s").textContent)`
	ada.wait(fmt.Sprintf(number, "#rtt-page"))
	ada.wait(`!document.querySelector("#rtt").hidden`)
	ada.wait(fmt.Sprintf(number, "#rtt-server"))

	// A conversation for the picture.
	for i, w := range []*window{ada, bo} {
		w.ok(w.Eval(ctx, `location.hash = "full-duplex"`, nil))
		w.wait(fmt.Sprintf(`document.querySelector("#room-name").textContent === "full-duplex" &&
			document.querySelector("#people-count").textContent === "%d"`, i+1))
	}
	for i, text := range []string{
		"Morning! Did the server survive the night?",
		"It was restarted twice, and nobody noticed: the pages came back by themselves.",
		"And what we wrote in the meantime?",
		"Waited here until there was a server again. Everything arrived, and nothing twice.",
		"Then let us try that on the train today.",
	} {
		author, reader := ada, bo
		if i%2 == 1 {
			author, reader = bo, ada
		}
		author.say(text)
		author.sees(text, true)
		reader.sees(text, false)
	}
	ada.wait(fmt.Sprintf(number, "#rtt-page"))
	bo.ok(bo.Click(ctx, "#text"))
	bo.ok(bo.Type(ctx, "Good idea"))
	ada.wait(`document.querySelector("#typing-text").textContent === "Bo is typing"`)

	for name, v := range viewports {
		ada.screenshot(name, v)
	}
	ada.checkProblems()
	bo.checkProblems()
}

// viewports are the screens on which the page is tested.
var viewports = map[string]browser.Viewport{
	"phone":        {Width: 390, Height: 844, Scale: 2, Phone: true},
	"phone-dark":   {Width: 390, Height: 844, Scale: 2, Phone: true, Dark: true},
	"desktop":      {Width: 1280, Height: 800},
	"desktop-dark": {Width: 1280, Height: 800, Dark: true},
}

// screenshot checks that the page fits the viewport, and writes what it shows
// to $SHOTS if there is one.
func (w *window) screenshot(name string, v browser.Viewport) {
	w.Helper()
	w.ok(w.SetViewport(w.ctx, v))
	w.wait(fmt.Sprintf("innerWidth === %d && innerHeight === %d", v.Width, v.Height))
	w.wait(`document.getAnimations().every((a) => !(a instanceof CSSTransition))`)
	// Nothing sticks out, and what one writes in is in view.
	w.wait(`document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight`)
	w.wait(`document.querySelector("#send").getBoundingClientRect().bottom <= innerHeight`)
	png, err := w.Screenshot(w.ctx)
	w.ok(err)
	if dir := os.Getenv("SHOTS"); dir != "" {
		w.ok(os.WriteFile(filepath.Join(dir, "chat-"+name+".png"), png, 0o644))
	}
}
