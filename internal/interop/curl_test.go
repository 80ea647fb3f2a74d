//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// The key that RFC 6455, section 1.3, has as an example.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// upgrade returns the arguments for a good handshake, except that each of
// changes replaces the header of its name, or removes it ("Name:").
func upgrade(changes ...string) []string {
	headers := []string{
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + sampleKey,
	}
	var args []string
next:
	for _, h := range headers {
		name, _, _ := strings.Cut(h, ":")
		for _, c := range changes {
			if strings.HasPrefix(c, name+":") {
				continue next
			}
		}
		args = append(args, "-H", h)
	}
	for _, c := range changes {
		args = append(args, "-H", c)
	}
	return args
}

func TestCurlRefusals(t *testing.T) {
	_, url := startEcho(t)
	url = "http" + strings.TrimPrefix(url, "ws")
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		header http.Header // what the response must have
		reason string      // what its text must mention
	}{
		{"no upgrade", nil, 426,
			http.Header{"Upgrade": {"websocket"}}, "Upgrade"},
		{"no Connection", upgrade("Connection:"), 400,
			nil, "Connection"},
		{"other Upgrade", upgrade("Upgrade: h2c"), 400,
			nil, "Upgrade"},
		{"POST", append(upgrade(), "-X", "POST"), 405,
			http.Header{"Allow": {"GET"}}, "GET"},
		{"HTTP/1.0", append(upgrade(), "--http1.0"), 505,
			nil, "HTTP/1.1"},
		{"no version", upgrade("Sec-WebSocket-Version:"), 426,
			http.Header{"Sec-Websocket-Version": {"13"}}, "Sec-WebSocket-Version"},
		{"old version", upgrade("Sec-WebSocket-Version: 8"), 426,
			http.Header{"Sec-Websocket-Version": {"13"}}, "Sec-WebSocket-Version"},
		{"no key", upgrade("Sec-WebSocket-Key:"), 400,
			nil, "Sec-WebSocket-Key"},
		{"short key", upgrade("Sec-WebSocket-Key: c2hvcnQ="), 400,
			nil, "Sec-WebSocket-Key"},
		{"foreign origin", upgrade("Origin: https://elsewhere.example"), 403,
			nil, "elsewhere.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-sS", "-i", "--max-time", "20"}, tt.args...)
			cmd := exec.CommandContext(testContext(t), lookPath(t, "curl"), append(args, url)...)
			cmd.Stderr = t.Output()
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("curl: %v\n%s", err, out)
			}
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
			if err != nil {
				t.Fatalf("%v in\n%s", err, out)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.HasSuffix(resp.Status, " "+http.StatusText(tt.status)) {
				t.Errorf("status %q, want %d with its reason phrase", resp.Status, tt.status)
			}
			// ReadResponse takes Connection: close out of the header.
			if !resp.Close {
				t.Error("no Connection: close")
			}
			for name, want := range tt.header {
				if got := resp.Header.Values(name); len(got) != 1 || !strings.EqualFold(got[0], want[0]) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
				t.Errorf("Content-Type is %q", ct)
			}
			if text := strings.TrimSpace(string(body)); !strings.Contains(text, tt.reason) || strings.Contains(text, "\n") {
				t.Errorf("the reason is %q, want one line that mentions %s", text, tt.reason)
			}
			if t.Failed() {
				t.Logf("curl got\n%s", out)
			}
		})
	}
}

func TestCurlAccepted(t *testing.T) {
	_, url := startEcho(t)
	for name, args := range map[string][]string{
		"plain":      upgrade(),
		"token list": upgrade("Connection: keep-alive, upgrade", "Upgrade: h2c, WebSocket"),
		"own origin": upgrade("Origin: http" + strings.TrimSuffix(url[len("ws"):], "/")),
	} {
		t.Run(name, func(t *testing.T) {
			// After a 101 curl waits for more, and its output with it, but
			// what -v tells comes at once.
			args = append([]string{"-c", `exec "$0" "$@" 2>&1`, lookPath(t, "curl"), "-sS", "-v", "--max-time", "20"}, args...)
			curl := start(t, nil, lookPath(t, "sh"), append(args, "http"+strings.TrimPrefix(url, "ws"))...)
			received := func() string {
				for {
					if line, ok := strings.CutPrefix(curl.line(t), "< "); ok {
						return strings.TrimSuffix(line, "\r")
					}
				}
			}
			if line := received(); line != "HTTP/1.1 101 Switching Protocols" {
				t.Fatalf("first line is %q", line)
			}
			header := http.Header{}
			for line := received(); line != ""; line = received() {
				name, value, _ := strings.Cut(line, ": ")
				header.Add(name, value)
			}
			for name, want := range map[string]string{
				"Upgrade":              "websocket",
				"Connection":           "Upgrade",
				"Sec-WebSocket-Accept": websocket.AcceptKey(sampleKey),
			} {
				if got := header.Values(name); len(got) != 1 || !strings.EqualFold(got[0], want) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			for _, name := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding"} {
				if got := header.Values(name); len(got) > 0 {
					t.Errorf("%s is %q, want none", name, got)
				}
			}
		})
	}
}
