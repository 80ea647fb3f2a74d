package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Tab is a tab of Chromium, in a window of its own.
type Tab struct {
	b       *Chromium
	target  string
	session string
	gone    chan struct{} // closed when there is no such tab any more

	mu       sync.Mutex
	problems []string // guarded by mu
}

// NewTab opens a tab and loads a page in it. It does not wait until the page is
// ready; see WaitFor. Tabs of one browser share cookies and localStorage, but
// not sessionStorage.
func (b *Chromium) NewTab(ctx context.Context, url string) (*Tab, error) {
	var created struct{ TargetID string }
	if err := b.call(ctx, "Target.createTarget", obj{"url": "about:blank", "newWindow": true}, &created); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.call(ctx, "Target.attachToTarget", obj{"targetId": created.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	t := &Tab{b: b, target: created.TargetID, session: attached.SessionID, gone: make(chan struct{})}
	b.mu.Lock()
	b.tabs[t.session] = t
	b.mu.Unlock()
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		if err := t.call(ctx, domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	return t, t.Navigate(ctx, url)
}

// errTabClosed is the error of calls after a tab has been closed.
var errTabClosed = errors.New("the tab is closed")

func (t *Tab) call(ctx context.Context, method string, params, result any) error {
	return t.b.callIn(ctx, t.session, t.gone, method, params, result)
}

// Navigate loads another page.
func (t *Tab) Navigate(ctx context.Context, url string) error {
	var result struct{ ErrorText string }
	if err := t.call(ctx, "Page.navigate", obj{"url": url}, &result); err != nil {
		return err
	}
	if result.ErrorText != "" {
		return fmt.Errorf("browser: loading %s: %s", url, result.ErrorText)
	}
	return nil
}

// Close closes the tab, and returns when it is closed.
func (t *Tab) Close(ctx context.Context) error {
	if err := t.b.call(ctx, "Target.closeTarget", obj{"targetId": t.target}, nil); err != nil {
		return err
	}
	select {
	case <-t.gone:
		return nil
	case <-t.b.done:
		return t.b.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Eval evaluates a JavaScript expression in the page. If its value is a promise,
// Eval waits for the promise. The value is decoded from JSON into result, unless
// result is nil. An exception becomes an error.
func (t *Tab) Eval(ctx context.Context, expression string, result any) error {
	var r struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *exception
	}
	err := t.call(ctx, "Runtime.evaluate", obj{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &r)
	if err != nil {
		return err
	}
	if r.ExceptionDetails != nil {
		return fmt.Errorf("browser: %s", r.ExceptionDetails)
	}
	if result == nil {
		return nil
	}
	if r.Result.Value == nil {
		return fmt.Errorf("browser: %s is undefined", abbreviate(expression))
	}
	return json.Unmarshal(r.Result.Value, result)
}

// WaitFor waits until a JavaScript expression is true. Pages may be loaded in
// the meantime. When ctx ends first the error describes the page.
func (t *Tab) WaitFor(ctx context.Context, condition string) error {
	// The page itself checks the condition every ten milliseconds, since there
	// is no event for an arbitrary expression.
	poll := fmt.Sprintf(`new Promise((resolve) => {
		const look = () => {
			let ok = false;
			try { ok = %s; } catch { }
			if (ok) resolve(true); else setTimeout(look, 10);
		};
		look();
	})`, condition)
	for {
		err := t.Eval(ctx, poll, nil)
		if err == nil || !pageIsGone(err) {
			if err != nil {
				err = fmt.Errorf("waiting for %s: %w%s", abbreviate(condition), err, t.describe())
			}
			return err
		}
	}
}

// pageIsGone reports whether err is that of a call that was under way when the page
// was replaced by another one.
func pageIsGone(err error) bool {
	for _, text := range []string{"navigated or closed", "context was destroyed", "Cannot find context"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// describe describes the page, for error messages.
func (t *Tab) describe() string {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var text string
	if err := t.Eval(ctx, `location.href + "\n" + document.body.innerText.slice(0, 2000)`, &text); err != nil {
		return ""
	}
	return fmt.Sprintf("\nproblems: %q\nthe page shows: %s", t.Problems(), text)
}

// Click clicks in the middle of the element that a CSS selector finds, as soon
// as it is there and nothing covers it.
func (t *Tab) Click(ctx context.Context, selector string) error {
	find := fmt.Sprintf(`((selector) => {
		const element = document.querySelector(selector);
		element.scrollIntoView({ block: "nearest" });
		const box = element.getBoundingClientRect();
		const at = { X: box.x + box.width / 2, Y: box.y + box.height / 2 };
		return element.contains(document.elementFromPoint(at.X, at.Y)) && at;
	})(%q)`, selector)
	if err := t.WaitFor(ctx, find); err != nil {
		return fmt.Errorf("clicking on %s: %w", selector, err)
	}
	var at struct{ X, Y float64 }
	if err := t.Eval(ctx, find, &at); err != nil {
		return fmt.Errorf("clicking on %s: %w", selector, err)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		err := t.call(ctx, "Input.dispatchMouseEvent", obj{
			"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1,
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// Type types text into the element that has the focus.
func (t *Tab) Type(ctx context.Context, text string) error {
	return t.call(ctx, "Input.insertText", obj{"text": text}, nil)
}

// Press presses a key, such as Enter, Escape or Tab.
func (t *Tab) Press(ctx context.Context, key string) error {
	codes := map[string]int{"Enter": 13, "Escape": 27, "Tab": 9}
	code, ok := codes[key]
	if !ok {
		return fmt.Errorf("browser: there is no key %q", key)
	}
	press := obj{"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		press["type"], press["text"] = "keyDown", "\r"
	}
	if err := t.call(ctx, "Input.dispatchKeyEvent", press, nil); err != nil {
		return err
	}
	return t.call(ctx, "Input.dispatchKeyEvent", obj{
		"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code,
	}, nil)
}

// Viewport is the size of a page in CSS pixels, and its kind of screen.
type Viewport struct {
	Width, Height int
	Scale         float64 // device pixels per CSS pixel; 0 means 1
	Phone         bool    // a touch screen, and the layout of a mobile browser
	Dark          bool    // the visitor prefers dark colours
}

// SetViewport changes the size and the kind of screen of the page.
func (t *Tab) SetViewport(ctx context.Context, v Viewport) error {
	if v.Scale == 0 {
		v.Scale = 1
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	return errors.Join(
		t.call(ctx, "Emulation.setDeviceMetricsOverride", obj{
			"width": v.Width, "height": v.Height, "deviceScaleFactor": v.Scale, "mobile": v.Phone,
		}, nil),
		t.call(ctx, "Emulation.setTouchEmulationEnabled", obj{"enabled": v.Phone}, nil),
		t.call(ctx, "Emulation.setEmulatedMedia", obj{
			"features": []obj{{"name": "prefers-color-scheme", "value": scheme}},
		}, nil),
	)
}

// Screenshot returns an image of the viewport, as PNG.
func (t *Tab) Screenshot(ctx context.Context) ([]byte, error) {
	var r struct{ Data []byte }
	err := t.call(ctx, "Page.captureScreenshot", obj{"format": "png"}, &r)
	return r.Data, err
}

// Problems returns the errors of the page so far: uncaught exceptions, console.error,
// and errors that the browser itself logs, such as a missing file or a breach of the
// content security policy.
func (t *Tab) Problems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.problems)
}

// ForgetProblems empties the list, after an expected error.
func (t *Tab) ForgetProblems() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = nil
}

// event handles an event of this tab. It runs on the goroutine that reads from the
// browser, so it must not call the browser.
func (t *Tab) event(method string, params json.RawMessage) {
	var p struct {
		Type string // of Runtime.consoleAPICalled
		Args []struct {
			Value       any
			Description string
		}
		ExceptionDetails *exception // of Runtime.exceptionThrown
		Entry            struct {   // of Log.entryAdded
			Level, Text, URL string
		}
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return // an event of another shape, which is not of interest
	}
	var problem string
	switch {
	case method == "Runtime.consoleAPICalled" && (p.Type == "error" || p.Type == "assert"):
		var words []string
		for _, arg := range p.Args {
			if arg.Value != nil {
				words = append(words, fmt.Sprint(arg.Value))
			} else {
				words = append(words, arg.Description)
			}
		}
		problem = "console: " + strings.Join(words, " ")
	case method == "Runtime.exceptionThrown" && p.ExceptionDetails != nil:
		problem = p.ExceptionDetails.String()
	case method == "Log.entryAdded" && p.Entry.Level == "error":
		problem = strings.TrimSpace("log: " + p.Entry.Text + " " + p.Entry.URL)
	default:
		return
	}
	t.mu.Lock()
	t.problems = append(t.problems, problem)
	t.mu.Unlock()
}

// exception is an exception of JavaScript.
type exception struct {
	Text      string
	Exception struct{ Description string }
}

func (e *exception) String() string {
	return strings.TrimSpace("exception: " + e.Text + " " + e.Exception.Description)
}
