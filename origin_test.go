package websocket

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// originRequest is a handshake as far as checkOrigin looks at it.
func originRequest(host string, secure bool, origins ...string) *http.Request {
	r := &http.Request{Method: "GET", Host: host, Header: http.Header{}, URL: &url.URL{Path: "/"}}
	if len(origins) > 0 {
		r.Header["Origin"] = origins
	}
	if secure {
		r.TLS = new(tls.ConnectionState)
	}
	return r
}

func TestCheckOriginSame(t *testing.T) {
	tests := []struct {
		host    string
		secure  bool
		origin  string
		allowed bool
	}{
		{"example.com", false, "http://example.com", true},
		{"example.com", true, "https://example.com", true},
		{"example.com", true, "http://example.com", false}, // the scheme counts
		{"example.com", false, "https://example.com", false},
		{"example.com:80", false, "http://example.com", true}, // default ports do not
		{"example.com", false, "http://example.com:80", true},
		{"example.com", true, "https://example.com:443", true},
		{"example.com:443", true, "https://example.com", true},
		{"example.com:443", false, "http://example.com", false},
		{"example.com", false, "http://example.com:443", false},
		{"example.com:80", true, "https://example.com", false},
		{"example.com:8080", false, "http://example.com:8080", true},
		{"example.com:8080", false, "http://example.com:08080", true},
		{"example.com:8080", false, "http://example.com", false},
		{"example.com:8080", false, "http://example.com:8081", false},
		{"Example.COM", false, "HTTP://exAMPLE.com", true},
		{"example.com", false, "http://example.com.", false},
		{"example.com", false, "http://www.example.com", false},
		{"example.com", false, "http://example.community", false},
		{"example.com", false, "http://notexample.com", false},
		{"127.0.0.1:9001", false, "http://127.0.0.1:9001", true},
		{"[::1]:9001", false, "http://[::1]:9001", true},
		{"[2001:DB8::1]", true, "https://[2001:db8::1]:443", true},
		{"[::1]", false, "http://[::2]", false},
		{"[::1]", false, "http://::1", false},
		{"[::1%25lo]", false, "http://[::1%25lo]", false},
		{"[127.0.0.1]", false, "http://[127.0.0.1]", false},
		{"", false, "http://", false},
		{"example.com", false, "", false},
		{"null", false, "null", false},
		{"example.com", false, "example.com", false},
		{"example.com", false, "//example.com", false},
		{"example.com", false, "://example.com", false},
		{"example.com", false, "http:example.com", false},
		{"example.com", false, "http:/example.com", false},
		{"example.com", false, "http://example.com/", false},
		{"example.com", false, "http://example.com/chat", false},
		{"example.com", false, "http://example.com?q", false},
		{"example.com", false, "http://example.com#f", false},
		{"example.com", false, "http://user@example.com", false},
		{"user@example.com", false, "http://user@example.com", false},
		{"example.com", false, "http://example.com http://example.com", false},
		{"example.com", false, " http://example.com", false},
		{"example.com", false, "http://example.com:65616", false}, // 80, modulo 65536
		{"example.com", false, "http://example.com:+80", false},
		{"example.com", false, "http://example.com:80:80", false},
		{"example.com", false, "http://ex%61mple.com", false},
		{"kelvin.com", false, "http://\u212aelvin.com", false}, // folds to k
	}
	for _, test := range tests {
		hs := serverHandshake{r: originRequest(test.host, test.secure, test.origin), opts: new(AcceptOptions)}
		if err := hs.checkOrigin(); (err == nil) != test.allowed {
			t.Errorf("host %q, TLS %v, origin %q: %v", test.host, test.secure, test.origin, err)
		}
	}
}

func TestCheckOriginPatterns(t *testing.T) {
	tests := []struct {
		pattern, origin string
		allowed         bool
	}{
		{"https://example.com", "https://example.com", true},
		{"https://example.com", "https://example.com:443", true},
		{"https://example.com", "http://example.com", false},
		{"https://example.com", "https://example.com:8443", false},
		{"https://example.com", "https://example.com.evil.net", false},
		{"example.com", "http://example.com", true},
		{"example.com", "app://example.com", true},
		{"example.com", "https://sub.example.com", false},
		{"*.example.com", "https://sub.example.com", true},
		{"*.example.com", "https://a.b.example.com", true},
		{"*.example.com", "https://example.com", false},
		{"*.example.com", "https://sub.example.com:8443", false},
		{"*.Example.com", "https://SUB.example.COM", true},
		{"HTTPS://*.example.com", "https://sub.example.com", true},
		{"*://example.com", "capacitor://example.com", true},
		{"localhost:*", "http://localhost:5173", true},
		{"localhost:*", "http://localhost", false},
		{"http://localhost:*", "http://localhost:5173", true},
		{"http://localhost:*", "https://localhost:5173", false},
		{"http://localhost*", "http://localhost.evil.net", true}, // what the author wrote
		{"10.0.0.?", "http://10.0.0.7", true},
		{"[ab].example.com", "https://b.example.com", true},
		{"[ab].example.com", "https://c.example.com", false},
		{"[::1]:*", "http://[::1]:5173", true},
		{"[::1]:5173", "http://[::1]:5173", true},
		{"[::1]:5173", "http://1:5173", false}, // no set of characters
		{"http://[::1]", "http://[::1]", true},
		{"http://[2001:DB8::*]", "http://[2001:db8::7]", true},
		{"chrome-extension://abcdef", "chrome-extension://abcdef", true},
		{"*", "https://anything.example", true},
		{"*", "null", true},
		{"*", "file://", true},
		{"null", "null", false},
		{"null", "https://null", true},
		{"file://*", "file://", false},
		{"", "https://example.com", false},
		{"*?", "null", false},
	}
	for _, test := range tests {
		opts := &AcceptOptions{OriginPatterns: []string{"https://other.example", test.pattern}}
		hs := serverHandshake{r: originRequest("self.example", false, test.origin), opts: opts}
		if err := hs.checkOptions(); err != nil {
			t.Errorf("pattern %q: %v", test.pattern, err)
		}
		if err := hs.checkOrigin(); (err == nil) != test.allowed {
			t.Errorf("pattern %q, origin %q: %v", test.pattern, test.origin, err)
		}
	}
}

// What a refusal advises to set must help.
func TestCheckOriginAdvice(t *testing.T) {
	for _, origin := range []string{
		"https://chat.example.com", "https://chat.example.com:443", "HTTP://Chat.Example.com:8080",
		"http://[::1]:8080", "https://[2001:DB8::7]", "chrome-extension://abcdef",
	} {
		opts := new(AcceptOptions)
		hs := serverHandshake{r: originRequest("self.example", false, origin), opts: opts}
		refusal := hs.checkOrigin()
		if refusal == nil || refusal.Status != http.StatusForbidden {
			t.Fatalf("origin %q: %v", origin, refusal)
		}
		advice := regexp.MustCompile(`add ("[^"]+") to AcceptOptions\.OriginPatterns`).FindStringSubmatch(refusal.Reason)
		if advice == nil {
			t.Fatalf("origin %q: no advice in %q", origin, refusal.Reason)
		}
		pattern, err := strconv.Unquote(advice[1])
		if err != nil {
			t.Fatal(err)
		}
		opts.OriginPatterns = []string{pattern}
		if err := hs.checkOptions(); err != nil {
			t.Errorf("origin %q: advised pattern %q: %v", origin, pattern, err)
		}
		if err := hs.checkOrigin(); err != nil {
			t.Errorf("origin %q: refused in spite of the advised pattern %q", origin, pattern)
		}
	}
}

func TestCheckOriginFunc(t *testing.T) {
	for _, allow := range []bool{true, false} {
		var asked []string
		opts := &AcceptOptions{
			OriginPatterns: []string{"*"},
			CheckOrigin: func(r *http.Request) bool {
				asked = append(asked, r.Header.Get("Origin"))
				return allow
			},
		}
		origins := []string{"null", "https://other.example", "http://self.example", "no origin at all"}
		for _, origin := range origins {
			hs := serverHandshake{r: originRequest("self.example", false, origin), opts: opts}
			if err := hs.checkOrigin(); (err == nil) != allow {
				t.Errorf("origin %q: %v", origin, err)
			}
		}
		if strings.Join(asked, "|") != strings.Join(origins, "|") {
			t.Errorf("CheckOrigin was asked about %q, want %q", asked, origins)
		}

		asked = nil
		hs := serverHandshake{r: originRequest("self.example", false), opts: opts}
		if err := hs.checkOrigin(); err != nil {
			t.Errorf("without Origin: %v", err)
		}
		hs.r = originRequest("self.example", false, "http://self.example", "https://evil.example")
		if err := hs.checkOrigin(); err == nil {
			t.Error("two Origin headers are allowed")
		}
		if asked != nil {
			t.Errorf("CheckOrigin was asked about %q, want nothing", asked)
		}
	}
}

func TestCheckOriginPattern(t *testing.T) {
	for _, pattern := range []string{"[", "[a-", "https://[", `a\`, "[]", "*.example.com[", "[::1]:["} {
		if err := checkOriginPattern(pattern); !errors.Is(err, path.ErrBadPattern) {
			t.Errorf("pattern %q: %v, want path.ErrBadPattern", pattern, err)
		}
	}
	for _, pattern := range []string{"https://example.com/", "example.com/chat", "https://example.com/*", "/"} {
		if err := checkOriginPattern(pattern); err == nil || !strings.Contains(err.Error(), "path") {
			t.Errorf("pattern %q: %v, want an error about its path", pattern, err)
		}
	}
}

// FuzzOrigin compares the default policy with one that is put differently:
// an expression takes both origins apart, numbers compare ports.
func FuzzOrigin(f *testing.F) {
	f.Add("http://example.com", "example.com", false)
	f.Add("https://Example.com:443", "example.COM", true)
	f.Add("http://[::1]:80", "[::1]", false)
	f.Add("http://example.com:0080", "example.com:80", false)
	f.Add("null", "null", false)
	f.Add("http://a.", "a.", false)
	f.Add("http://a:", "a", false)
	f.Fuzz(func(t *testing.T, text, host string, secure bool) {
		opts := new(AcceptOptions)
		hs := serverHandshake{r: originRequest(host, secure, text), opts: opts}
		allowed := hs.checkOrigin() == nil
		if want := slowSameOrigin(text, host, secure); allowed != want {
			t.Fatalf("origin %q for host %q, TLS %v: allowed %v, want %v", text, host, secure, allowed, want)
		}

		o, ok := parseOrigin(text)
		if !ok {
			return
		}
		if again, ok := parseOrigin(o.String()); !ok || again != o {
			t.Fatalf("%q parses to %q, which parses to %q (%v)", text, o, again, ok)
		}
		if !o.matches(o.String()) || !o.matches(o.authority()) || !o.matches(strings.ToUpper(o.String())) {
			t.Fatalf("origin %q does not match itself", o)
		}
		if o.matches(o.String()+"x") || o.matches("x"+o.authority()) {
			t.Fatalf("origin %q matches another one", o)
		}
	})
}

var slowOrigin = regexp.MustCompile(`^([A-Za-z0-9+.\-]+)://([A-Za-z0-9._~\-]+|\[[^\[\]]*\])(?::0*([0-9]{0,5}))?$`)

func slowSameOrigin(text, host string, secure bool) bool {
	own := "http://" + host
	if secure {
		own = "https://" + host
	}
	a, b := slowOrigin.FindStringSubmatch(text), slowOrigin.FindStringSubmatch(own)
	if a == nil || b == nil {
		return false
	}
	for _, m := range [][]string{a, b} {
		if addr, ok := strings.CutPrefix(m[2], "["); ok {
			ip, err := netip.ParseAddr(strings.TrimSuffix(addr, "]"))
			if err != nil || ip.Is4() || ip.Zone() != "" {
				return false
			}
		}
		if m[3] == "" && strings.HasSuffix(m[0], "0") && strings.Contains(m[0][len(m[1])+3+len(m[2]):], ":") {
			m[3] = "0" // it was nothing but zeros
		}
		if m[3] == "" {
			m[3] = map[string]string{"http": "80", "https": "443"}[strings.ToLower(m[1])]
		}
		if n, err := strconv.Atoi(m[3]); err != nil || n > 65535 {
			return false
		}
	}
	return strings.EqualFold(a[1], b[1]) && strings.EqualFold(a[2], b[2]) && a[3] == b[3]
}
