//go:build interop

package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const testPage = `<!doctype html><title>Test</title>
<body style="margin: 0; background: rgb(10, 200, 30)">
<button style="margin: 50px" onclick="this.textContent = 'clicked'">button</button>
<form onsubmit="document.title = this.word.value; return false"><input name="word"></form>
</body>`

// testTime is long: a slow machine takes its time to start a browser.
const testTime = 2 * time.Minute

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// loaded is a promise of the whole page.
const loaded = `new Promise((resolve) => document.readyState === "complete" ? resolve() : addEventListener("load", resolve))`

// startSite serves testPage at its root.
func startSite(t *testing.T) *httptest.Server {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(testPage))
	}))
	t.Cleanup(site.Close)
	return site
}

// forEachBrowser runs test for both browsers, with the process behind.
func forEachBrowser(t *testing.T, test func(t *testing.T, ctx context.Context, b Browser, p *process)) {
	t.Run("Chromium", func(t *testing.T) {
		ctx := testContext(t)
		b := ForTest(t, ctx, StartChromium)
		test(t, ctx, b, b.process)
	})
	t.Run("Firefox", func(t *testing.T) {
		ctx := testContext(t)
		b := ForTest(t, ctx, StartFirefox)
		test(t, ctx, b, b.process)
	})
}

func TestPage(t *testing.T) { forEachBrowser(t, testPageOf) }

func testPageOf(t *testing.T, ctx context.Context, b Browser, _ *process) {
	site := startSite(t)
	page, err := b.OpenPage(ctx, site.URL)
	if err != nil {
		t.Fatal(err)
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("values", func(t *testing.T) {
		var title string
		ok(page.Eval(ctx, loaded+`.then(() => document.title)`, &title))
		if title != "Test" {
			t.Errorf("the title is %q", title)
		}
		var n int
		ok(page.Eval(ctx, `new Promise((resolve) => setTimeout(() => resolve(6 * 7), 20))`, &n))
		if n != 42 {
			t.Errorf("got %d", n)
		}
		err := page.Eval(ctx, `missing.thing`, nil)
		if err == nil || !strings.Contains(err.Error(), "missing is not defined") {
			t.Errorf("an exception is %v", err)
		}
		if err := page.Eval(ctx, `undefined`, &n); err == nil {
			t.Error("undefined became a number")
		}
		if err := page.Eval(ctx, `undefined`, nil); err != nil {
			t.Error(err)
		}
	})

	// Browsers send and take messages of several megabytes in one frame.
	t.Run("large", func(t *testing.T) {
		const size = 5 << 20
		var text string
		ok(page.Eval(ctx, `"0123456789abcdef".repeat(5 << 16)`, &text))
		if text != strings.Repeat("0123456789abcdef", size/16) {
			t.Errorf("a text of %d bytes is not what it should be", len(text))
		}
		var n int
		ok(page.Eval(ctx, `"`+text+`".length`, &n))
		if n != size {
			t.Errorf("the browser got %d bytes of %d", n, size)
		}
	})

	t.Run("screenshot", func(t *testing.T) {
		data, err := page.Screenshot(ctx)
		ok(err)
		img, err := png.Decode(bytes.NewReader(data))
		ok(err)
		if r, g, b, _ := img.At(1, 1).RGBA(); r>>8 != 10 || g>>8 != 200 || b>>8 != 30 {
			t.Errorf("the corner is %d %d %d", r>>8, g>>8, b>>8)
		}
	})

	t.Run("certificate", func(t *testing.T) {
		secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "secret") }))
		defer secure.Close()
		other, err := b.OpenPage(ctx, secure.URL)
		ok(err)
		var text string
		ok(other.Eval(ctx, loaded+`.then(() => document.documentElement.textContent)`, &text))
		if text != "secret" {
			t.Errorf("the page says %q", text)
		}
		ok(other.Close(ctx))
	})

	t.Run("missing page", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		if err := page.Navigate(ctx, gone.URL); err == nil {
			t.Error("a server that is not there was reached")
		}
		ok(page.Navigate(ctx, site.URL))
	})

	// A call that is under way when the page is closed does not hang.
	t.Run("close", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			done <- page.Eval(ctx, `new Promise(() => { window.waits = true })`, nil)
		}()
		ok(page.Eval(ctx, `new Promise((resolve) => setInterval(() => window.waits && resolve(), 5))`, nil))
		ok(page.Close(ctx))
		if err := <-done; err == nil || ctx.Err() != nil {
			t.Errorf("the call ended with %v", err)
		}
		if err := page.Eval(ctx, `0`, nil); err == nil {
			t.Error("a closed page evaluates")
		}
	})
}

// Nothing is left of a browser that was closed.
func TestClose(t *testing.T) {
	forEachBrowser(t, func(t *testing.T, ctx context.Context, b Browser, p *process) {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(p.profile); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the profile is still there: %v", err)
		}
		if p.cmd.Process.Signal(os.Kill) == nil {
			t.Error("the process was still there")
		}
	})
}

// Calls fail when the browser dies, and do not hang.
func TestDeath(t *testing.T) {
	forEachBrowser(t, func(t *testing.T, ctx context.Context, b Browser, p *process) {
		page, err := b.OpenPage(ctx, "about:blank")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- page.Eval(ctx, `new Promise(() => {})`, nil) }()
		if err := page.Eval(ctx, `0`, nil); err != nil {
			t.Fatal(err)
		}
		p.cmd.Process.Kill()
		if err := <-done; err == nil || ctx.Err() != nil {
			t.Errorf("the call ended with %v", err)
		}
	})
}

// starters start either browser.
var starters = map[string]func(context.Context) (Browser, error){
	"CHROMIUM": func(ctx context.Context) (Browser, error) { return StartChromium(ctx) },
	"FIREFOX":  func(ctx context.Context) (Browser, error) { return StartFirefox(ctx) },
}

func TestNoBrowser(t *testing.T) {
	for variable, start := range starters {
		t.Setenv(variable, "/nonexistent/browser")
		if b, err := start(t.Context()); err == nil {
			b.Close()
			t.Error("started nothing")
		}
		t.Setenv(variable, "false")
		if b, err := start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended at once") {
			if err == nil {
				b.Close()
			}
			t.Errorf("a program that is no browser: %v", err)
		}
	}
}

// A browser ends with the program that started it, even if that closes nothing,
// as after a panic. This test is also that program.
func TestOrphan(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with its parent")
	}
	const variable = "START_AND_EXIT"
	switch os.Getenv(variable) {
	case "CHROMIUM":
		b, err := StartChromium(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		orphan(b.process)
	case "FIREFOX":
		b, err := StartFirefox(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		orphan(b.process)
	}
	for name := range starters {
		cmd := exec.CommandContext(testContext(t), os.Args[0], "-test.run", "^TestOrphan$")
		cmd.Env = append(os.Environ(), variable+"="+name)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		profile := strings.TrimSpace(string(out))
		for end := time.Now().Add(time.Minute); running(t, profile); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s runs on", name)
			}
		}
		if err := removeAll(profile); err != nil {
			t.Error(err)
		}
	}
}

// orphan ends this program, and does not care for the browser.
func orphan(p *process) {
	fmt.Println(p.profile)
	os.Exit(0)
}

// running tells whether a process of Linux is there that has the profile among
// its arguments: the browser, or one of its children.
func running(t *testing.T, profile string) bool {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d processes: %v", len(names), err)
	}
	for _, name := range names {
		// Of a process that has ended nothing is there to read.
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, []byte(profile)) {
			return true
		}
	}
	return false
}
