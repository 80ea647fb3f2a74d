// Package browser drives a headless Chromium in tests. Chromium's DevTools
// protocol is JSON over a WebSocket, so the driver needs nothing but this
// project's own client, and puts that to work against a real server.
//
// A Browser has tabs. A Tab loads a page, evaluates JavaScript in it, clicks and
// types, takes screenshots, and collects what goes wrong in the page. All
// methods are safe for concurrent use, and each is bounded by its context.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	cmd     *exec.Cmd
	profile string
	exited  chan struct{} // closed when the process has ended
	stderr  *stderr
	devtools
}

// Path returns the Chromium to use: $CHROMIUM, or else the first of the usual
// names that is found in $PATH.
func Path() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("browser: none of %s is in $PATH, and $CHROMIUM is not set", strings.Join(names, ", "))
}

// Start starts Chromium and connects to it. The context bounds the start only;
// the browser runs until Close.
func Start(ctx context.Context) (*Browser, error) {
	path, err := Path()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "browser-*")
	if err != nil {
		return nil, err
	}
	b := &Browser{
		profile: profile,
		exited:  make(chan struct{}),
		stderr:  &stderr{address: make(chan string, 1)},
	}
	b.cmd = exec.Command(path,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--no-default-browser-check", "--disable-sync", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update",
		// Tabs in the background are as lively as the one in front.
		"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
		"--disable-renderer-backgrounding",
		// Containers often have a tiny /dev/shm.
		"--disable-dev-shm-usage",
		"--remote-debugging-port=0", "--user-data-dir="+profile, "about:blank")
	b.cmd.Stderr = b.stderr
	b.cmd.WaitDelay = closeTimeout // for a child that outlives it, with stderr open
	if err := b.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(profile))
	}
	go func() {
		b.cmd.Wait() // how it ends does not matter, only when
		close(b.exited)
	}()
	if err := b.connect(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// connect waits for the address and dials it.
func (b *Browser) connect(ctx context.Context) error {
	select {
	case url := <-b.stderr.address:
		// No Origin header: Chromium refuses DevTools to web pages, which it
		// tells from other clients by that. A screenshot is one message, so
		// there is no limit that fits.
		conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
			Options: websocket.Options{ReadLimit: -1},
		})
		if err != nil {
			return fmt.Errorf("browser: connecting to DevTools: %w", err)
		}
		b.devtools.start(conn)
		return nil
	case <-b.exited:
		return fmt.Errorf("browser: Chromium has ended at once:\n%s", b.stderr)
	case <-ctx.Done():
		return fmt.Errorf("browser: Chromium did not start: %w\n%s", context.Cause(ctx), b.stderr)
	}
}

// closeTimeout is how long a browser that was asked to end may take for it.
const closeTimeout = 5 * time.Second

// Close ends the browser and removes its profile. It does not return before the
// process is gone.
func (b *Browser) Close() error {
	if b.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		b.call(ctx, "Browser.close", nil, nil) // if that fails there is the harder way
		select {
		case <-b.exited:
		case <-ctx.Done():
		}
		b.devtools.stop()
	}
	select {
	case <-b.exited:
	default:
		b.cmd.Process.Kill()
		<-b.exited
	}
	return removeAll(b.profile)
}

// removeAll removes the profile. The children of a browser that was killed may
// outlive it by a moment, and write there.
func removeAll(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// stderr is what Chromium writes to its standard error. It finds the address of
// DevTools there, and keeps the last lines for error messages.
type stderr struct {
	address chan string // has room for one

	mu    sync.Mutex // guards what follows
	lines []string
	rest  string // the beginning of a line
}

// stderrLines is how many lines are kept.
const stderrLines = 40

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(s.rest+string(p), "\n")
	s.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		s.lines = append(s.lines, line)
		if _, url, ok := strings.Cut(line, "DevTools listening on "); ok {
			select {
			case s.address <- strings.TrimSpace(url):
			default: // it said so before
			}
		}
	}
	s.lines = s.lines[max(0, len(s.lines)-stderrLines):]
	return len(p), nil
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(slices.Clone(s.lines), s.rest), "\n")
}
