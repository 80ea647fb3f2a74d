package dial

import (
	"net/url"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct{ raw, url, socket, shown string }{
		{"ws://h/p?q=1", "http://h/p?q=1", "", "ws://h/p"},
		{"wss://h:444", "https://h:444", "", "wss://h:444"},
		{"ws://h:/", "http://h/", "", "ws://h/"},
		{"WS://h", "http://h", "", "ws://h"},
		{"http://h/", "http://h/", "", "http://h/"},
		{"https://u:p@h/%2F", "https://u:p@h/%2F", "", "https://h/%2F"},
		{"ws://[::1]:9/x", "http://[::1]:9/x", "", "ws://[::1]:9/x"},
		{"ws+unix:///run/a.sock:/chat/x?q=1", "http://localhost/chat/x?q=1", "/run/a.sock", "ws+unix:///run/a.sock:/chat/x"},
		{"ws+unix:/run/a.sock:/", "http://localhost/", "/run/a.sock", "ws+unix:///run/a.sock:/"},
		{"ws+unix:///run/a.sock", "http://localhost/", "/run/a.sock", "ws+unix:///run/a.sock"},
		{"ws+unix:///run/a.sock:", "http://localhost/", "/run/a.sock", "ws+unix:///run/a.sock:"},
		{"ws+unix:///run/a%3Ab%20c:/x%2Fy:z", "http://localhost/x%2Fy:z", "/run/a:b c", "ws+unix:///run/a%3Ab%20c:/x%2Fy:z"},
		{"ws+unix:///C%3A/a.sock:/x", "http://localhost/x", "C:/a.sock", "ws+unix:///C%3A/a.sock:/x"},
		{"ws+unix:///z%3A%5Ca%20b.sock", "http://localhost/", `z:\a b.sock`, "ws+unix:///z%3A%5Ca%20b.sock"},
		{"ws+unix:///C%3Aa.sock:/x", "http://localhost/x", "/C:a.sock", "ws+unix:///C%3Aa.sock:/x"},
		{"ws+unix:///1%3A/a.sock", "http://localhost/", "/1:/a.sock", "ws+unix:///1%3A/a.sock"},
		{"ws+unix:///C%3A", "http://localhost/", "/C:", "ws+unix:///C%3A"},
		{"ws+unix://u:p@/a.sock:/x", "http://u:p@localhost/x", "/a.sock", "ws+unix:///a.sock:/x"},
	} {
		got, err := ParseURL(tt.raw)
		if err != nil {
			t.Errorf("%s: %v", tt.raw, err)
			continue
		}
		if got.url.String() != tt.url || got.socket != tt.socket || got.String() != tt.shown {
			t.Errorf("%s: got %s %q %s, want %s %q %s", tt.raw, got.url, got.socket, got, tt.url, tt.socket, tt.shown)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, raw := range []string{"ws://h/p?q", "wss://u:p@h:1/", "ws+unix:///a%3Ab:/c:d?e", "ws+unix://u@/:/", "http://[::1%25lo]/", "ws://h:", "ws+unix:/%2f%00:/%2F"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseURL(raw)
		if err != nil {
			return
		}
		if s := target.url.Scheme; s != "http" && s != "https" || target.url.Hostname() == "" || target.url.Fragment != "" {
			t.Errorf("%q became %q", raw, target.url)
		}
		if shown, err := url.Parse(target.String()); err == nil && (shown.User != nil || shown.RawQuery != "") {
			t.Errorf("%q is shown as %q", raw, target)
		}
	})
}
