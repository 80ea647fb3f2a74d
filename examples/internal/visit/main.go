// Command visit opens the page of a running example in Chromium, as a phone and
// as a desktop at the same time, and uses it as a visitor would.
//
//	go run ./examples/internal/visit -shots DIR chat http://127.0.0.1:8080/
//
// It fails unless messages of the server arrive in the page, the page fits the
// screen and shows something, and the browser reports no error. A screenshot of each
// size is kept, also if the visit fails: DIR/chat-phone.png and DIR/chat-desktop.png,
// and of the dialog that asks for a name: DIR/chat-phone-dialog.png and so on.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
)

// example is what a visitor does in the page of an example. The page opens a dialog
// for the visitor's name, if it has one, and its data-state tells whether it is
// connected.
type example struct {
	say       string // is typed, and sent with Enter
	delivered string // JavaScript: messages of the server have arrived
}

// number is JavaScript for the number in an element.
func number(id string) string {
	return fmt.Sprintf(`parseFloat(document.getElementById(%q).textContent.replaceAll(",", ""))`, id)
}

var examples = map[string]example{
	"chat": {
		say:       "Hello from a visitor",
		delivered: `document.querySelector("#log").textContent.includes("Hello from a visitor") && !document.querySelector("#unsent").children.length`,
	},
	"arena":     {delivered: `document.querySelector("#place").textContent.includes(" of ")`},
	"dashboard": {delivered: number("updates") + " > 100"},
}

var sizes = map[string]browser.Viewport{
	"phone":   {Width: 390, Height: 844, Scale: 2, Phone: true},
	"desktop": {Width: 1280, Height: 800},
}

func main() {
	shots := flag.String("shots", ".", "`directory` for the screenshots")
	timeout := flag.Duration("timeout", time.Minute, "`time` that the visit may take, with the start of the browser")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: visit [-shots DIR] [-timeout TIME] EXAMPLE URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), *timeout, fmt.Errorf("not done after %v", *timeout))
	defer cancel()
	if err := visit(ctx, flag.Arg(0), flag.Arg(1), *shots); err != nil {
		fmt.Fprintln(os.Stderr, "visit:", err)
		os.Exit(1)
	}
}

// visit opens the page at url in both sizes.
func visit(ctx context.Context, name, url, shots string) (err error) {
	// chat-cluster has the page of chat.
	ex, ok := examples[strings.TrimSuffix(name, "-cluster")]
	if !ok {
		return fmt.Errorf("no example with a page is called %q", name)
	}
	b, err := browser.StartChromium(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	failures := make(chan error)
	for size, viewport := range sizes {
		go func() {
			err := ex.open(ctx, b, url, viewport, filepath.Join(shots, name+"-"+size))
			if err != nil {
				err = fmt.Errorf("%s as a %s: %w", url, size, err)
			}
			failures <- err
		}()
	}
	for range sizes {
		err = errors.Join(err, <-failures)
	}
	return err
}

// open visits the page in a tab of its own. The paths of the screenshots begin with
// prefix.
func (ex example) open(ctx context.Context, b *browser.Chromium, url string, viewport browser.Viewport, prefix string) error {
	tab, err := b.NewTab(ctx, "about:blank")
	if err != nil {
		return err
	}
	if err := tab.SetViewport(ctx, viewport); err != nil {
		return err
	}
	if err := tab.Navigate(ctx, url); err != nil {
		return err
	}
	err = ex.use(ctx, tab, prefix+"-dialog.png")
	if err == nil {
		err = checkPage(ctx, tab)
	}
	return errors.Join(err, shoot(tab, prefix+".png"))
}

// use gives a name if the page asks for one, and waits until messages of the server
// have arrived. path is for the screenshot of the question.
func (ex example) use(ctx context.Context, tab *browser.Tab, path string) error {
	const online = `["online", "playing"].includes(document.querySelector("[data-state]").dataset.state)`
	const dialog = `document.querySelector("dialog[open]") !== null`
	if err := tab.WaitFor(ctx, online+" || "+dialog); err != nil {
		return err
	}
	var asks bool
	if err := tab.Eval(ctx, dialog, &asks); err != nil {
		return err
	}
	if asks {
		if err := errors.Join(checkPage(ctx, tab), shoot(tab, path)); err != nil {
			return err
		}
		if err := tab.Click(ctx, "dialog[open] button.primary"); err != nil {
			return err
		}
	}
	if err := tab.WaitFor(ctx, online+" && !("+dialog+")"); err != nil {
		return err
	}
	if ex.say != "" {
		for _, step := range []func() error{
			func() error { return tab.Click(ctx, "textarea") },
			func() error { return tab.Type(ctx, ex.say) },
			func() error { return tab.Press(ctx, "Enter") },
		} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return tab.WaitFor(ctx, ex.delivered)
}

// checkPage checks that nothing sticks out of the window, and that the browser has
// reported no error.
func checkPage(ctx context.Context, tab *browser.Tab) error {
	var outside []string
	err := tab.Eval(ctx, `document.documentElement.scrollWidth <= innerWidth ? [] :
		[...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
			.slice(0, 5).map((e) => e.tagName + "#" + e.id + "." + e.getAttribute("class"))`, &outside)
	if err != nil {
		return err
	}
	if len(outside) > 0 {
		return fmt.Errorf("wider than the window: %q", outside)
	}
	if problems := tab.Problems(); len(problems) > 0 {
		return fmt.Errorf("the browser reports %q", problems)
	}
	return nil
}

// shoot writes a screenshot. It has a time limit of its own, because the visit's may
// be over.
func shoot(tab *browser.Tab, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	data, err := tab.Screenshot(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if n := colours(img); n < minColours {
		return fmt.Errorf("the page is empty: %s has %d colours", path, n)
	}
	return nil
}

// minColours is a number of colours that no empty page has. Text alone has more,
// because its edges are smooth.
const minColours = 20

// colours counts the colours of an image.
func colours(img image.Image) int {
	var seen []uint64
	bounds := img.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			if colour := uint64(r)<<32 | uint64(g)<<16 | uint64(b); !slices.Contains(seen, colour) {
				if seen = append(seen, colour); len(seen) == minColours {
					return minColours
				}
			}
		}
	}
	return len(seen)
}
