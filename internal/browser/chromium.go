package browser

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// Chromium is a running Chromium, which is driven by its DevTools protocol.
type Chromium struct {
	process *process
	*rpc    // nil until connected

	mu   sync.Mutex      // guards tabs
	tabs map[string]*Tab // by session
}

// Path returns the Chromium to use: $CHROMIUM, or else the first of the usual
// names that is found in $PATH.
func Path() (string, error) {
	return lookPath("CHROMIUM", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
}

// StartChromium starts Chromium and connects to it. The context bounds the start
// only; the browser runs until Close.
func StartChromium(ctx context.Context) (*Chromium, error) {
	path, err := Path()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(path, "DevTools listening on ", func(profile string) ([]string, error) {
		return []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
			"--no-first-run", "--no-default-browser-check", "--disable-sync", "--disable-extensions",
			"--disable-background-networking", "--disable-component-update",
			"--ignore-certificate-errors",
			// Tabs in the background run as fast as the one in front.
			"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
			"--disable-renderer-backgrounding",
			// Containers often have a tiny /dev/shm.
			"--disable-dev-shm-usage",
			"--remote-debugging-port=0", "--user-data-dir=" + profile, "about:blank",
		}, nil
	})
	if err != nil {
		return nil, err
	}
	c := &Chromium{process: p, tabs: make(map[string]*Tab)}
	conn, err := p.dial(ctx, "")
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.rpc = newRPC(conn, c.event)
	return c, nil
}

// Close ends the browser and removes its profile. It returns when the process is
// gone.
func (c *Chromium) Close() error {
	return closeBrowser(c.process, c.rpc, "Browser.close")
}

// closeBrowser calls a method that ends the browser, and kills the browser if that
// fails. r is nil if the browser was never connected to.
func closeBrowser(p *process, r *rpc, method string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if r == nil {
		cancel()
	} else {
		r.call(ctx, method, nil, nil) // if that fails, stop kills it
		defer r.stop()
	}
	return p.stop(ctx)
}

// OpenPage opens a page in a new tab, as NewTab does.
func (c *Chromium) OpenPage(ctx context.Context, url string) (Page, error) {
	return c.NewTab(ctx, url)
}

// event takes an event of the connection.
func (c *Chromium) event(m wireMessage) {
	if m.Method == "Target.detachedFromTarget" {
		c.detached(m.Params)
		return
	}
	c.mu.Lock()
	tab := c.tabs[m.SessionID]
	c.mu.Unlock()
	if tab != nil {
		tab.event(m.Method, m.Params)
	}
}

// detached ends a tab that has been closed. Calls to it would not be answered.
func (c *Chromium) detached(params json.RawMessage) {
	var p struct{ SessionID string }
	json.Unmarshal(params, &p) // without a session there is no such tab
	c.mu.Lock()
	defer c.mu.Unlock()
	if tab := c.tabs[p.SessionID]; tab != nil {
		delete(c.tabs, p.SessionID)
		close(tab.gone)
	}
}
