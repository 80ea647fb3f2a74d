// Command capture records the requests of a real browser that polls, opens an
// EventSource and opens a WebSocket, for cmd/polling to send the same:
//
//	go run ./cmd/capture > internal/wire/browser.txt
//
// It needs Chromium, which it starts without a window, with a page of its own. To
// the browser that page is https://app.example.com/, with a session cookie; so the
// headers are those that any site with HTTPS gets.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var b bytes.Buffer
	if err := capture(ctx, &b); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
	os.Stdout.Write(b.Bytes())
}

const host = "app.example.com"

func capture(ctx context.Context, w io.Writer) error {
	program, err := browser.Path()
	if err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, program, "--version", "--no-sandbox").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", program, err)
	}
	fmt.Fprintf(w, "# What %s (headless, %s) has sent to https://%s/,\n", bytes.TrimSpace(version), runtime.GOOS, host)
	fmt.Fprintf(w, "# written down by bench/cmd/capture on %s. Only the paths are replaced: by {path}.\n# The word Headless is what a browser with a window does not send: 8 bytes.\n", time.Now().UTC().Format("2 January 2006"))
	for _, protocol := range []string{"http/1.1", "h2"} {
		s, err := newSite(protocol)
		if err != nil {
			return err
		}
		err = visit(ctx, program, s)
		s.close()
		if err != nil {
			return fmt.Errorf("%s: %w", protocol, err)
		}
		if protocol == "h2" {
			err = writeHTTP2(w, s)
		} else {
			err = writeHTTP1(w, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit makes the browser load the page, and returns when the page is done.
func visit(ctx context.Context, program string, s *site) error {
	profile, err := os.MkdirTemp("", "capture-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-sync", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
		"--ignore-certificate-errors", "--host-resolver-rules=MAP "+host+":443 "+s.addr(),
		"--remote-debugging-port=0", // or it prints the page and ends
		"--user-data-dir="+profile, "https://"+host+"/")
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	select {
	case <-s.done:
		cancel()
		cmd.Wait()
		return nil
	case <-ctx.Done():
		cmd.Wait()
		return fmt.Errorf("the browser did not do all of it: %w\n%s", context.Cause(ctx), &stderr)
	}
}

func writeHTTP1(w io.Writer, s *site) error {
	for _, part := range []struct{ title, path string }{{"fetch", pollPath(polls)}, {"eventsource", eventsPath}, {"websocket", socketPath}} {
		head, err := s.requestHead(part.path)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n== %s, HTTP/1.1\n%s", part.title, head)
	}
	return nil
}

func writeHTTP2(w io.Writer, s *site) error {
	for _, part := range []struct{ title, path string }{{"fetch", pollPath(polls)}, {"eventsource", eventsPath}} {
		header := s.header(part.path)
		if header == nil {
			return fmt.Errorf("no request for %s", part.path)
		}
		fmt.Fprintf(w, "\n== %s, HTTP/2 (sorted, without pseudo-headers)\n", part.title)
		for _, name := range slices.Sorted(maps.Keys(header)) {
			fmt.Fprintf(w, "%s: %s\n", strings.ToLower(name), strings.Join(header[name], ", "))
		}
	}
	sizes, err := s.headersFrames()
	if err != nil {
		return err
	}
	if len(sizes) != polls+3 {
		return fmt.Errorf("%d requests: %v", len(sizes), sizes)
	}
	fmt.Fprintf(w, "\n== sizes, HTTP/2 (bytes of the HEADERS frames: of the page's, then of %d polls)\n", polls)
	fmt.Fprintln(w, strings.Trim(fmt.Sprint(sizes[:1+polls]), "[]"))
	return nil
}
