package websocket

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// FuzzServerHandshake holds the steps against one slow look at the request.
// A line break in an input makes two header lines of it.
func FuzzServerHandshake(f *testing.F) {
	add := func(edit func(args []string)) {
		args := []string{"GET", "Upgrade", "websocket", "13", wstest.Key, ""}
		edit(args)
		f.Add(args[0], args[1], args[2], args[3], args[4], args[5], 1, 1, int64(0))
	}
	add(func(a []string) {})
	add(func(a []string) { a[1] = "keep-alive\n ,UPGRADE,\t" })
	add(func(a []string) { a[2] = "webSocket\nh2c" })
	add(func(a []string) { a[2] = "web\u017focket" })
	add(func(a []string) { a[3] = "13\n13" })
	add(func(a []string) { a[4] = "dGhlIHNhbXBsZSBub25jZR==" })
	add(func(a []string) { a[4] = "dGhlIHNhbXBsZSBub25\rjZQ==" })
	add(func(a []string) { a[5] = "chat\nsuper, b@d" })
	add(func(a []string) { a[5] = "one,two\nthree" })
	f.Add("GET", "Upgrade", "websocket", "13", wstest.Key, "", 2, 0, int64(0))
	f.Add("GET", "Upgrade", "websocket", "13", wstest.Key, "", 1, 0, int64(-1))

	f.Fuzz(func(t *testing.T, method, connection, upgrade, version, key, protocol string, major, minor int, length int64) {
		header := http.Header{}
		for name, text := range map[string]string{
			"Connection": connection, "Upgrade": upgrade, "Sec-Websocket-Version": version,
			"Sec-Websocket-Key": key, "Sec-Websocket-Protocol": protocol,
		} {
			if text != "" {
				header[name] = strings.Split(text, "\n")
			}
		}
		r := &http.Request{
			Method: method, ProtoMajor: major, ProtoMinor: minor, Header: header,
			Host: "server.example", URL: &url.URL{Path: "/"}, ContentLength: length,
		}
		opts := &AcceptOptions{Subprotocols: []string{"two", "one"}}
		hs := serverHandshake{r: r, opts: opts}
		refusal := hs.run()
		if want := slowServerCheck(r); (refusal == nil) != want {
			t.Fatalf("%q HTTP/%d.%d, content %d, %q: %v, the slow check says %v", method, major, minor, length, header, refusal, want)
		}
		if refusal != nil {
			if refusal.Status < 400 || refusal.Status >= 500 && refusal.Status != 505 || strings.ContainsAny(refusal.Reason, "\r\n") {
				t.Fatalf("refused with %#v", refusal)
			}
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(hs.appendResponse(nil)))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != 101 || got != AcceptKey(key) {
			t.Fatalf("answer %d, Sec-WebSocket-Accept: %q", resp.StatusCode, got)
		}
		offered := regexp.MustCompile(`[ \t]*[,\n][ \t]*`).Split(strings.Trim(protocol, " \t"), -1)
		want := ""
		if slices.Contains(offered, "two") {
			want = "two"
		} else if slices.Contains(offered, "one") {
			want = "one"
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Fatalf("offers %q: chose %q, want %q", protocol, got, want)
		}
	})
}

// slowServerCheck says whether the request is an opening handshake, the way
// one would put RFC 6455, section 4.2.1, in regular expressions. They see the
// lines of a header joined by line breaks.
func slowServerCheck(r *http.Request) bool {
	for name, expr := range slowHeaders {
		if !expr.MatchString(strings.Join(r.Header[name], "\n")) {
			return false
		}
	}
	return r.Method == "GET" && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.ContentLength == 0
}

// No flag i here: it folds beyond ASCII.
var slowHeaders = map[string]*regexp.Regexp{
	"Upgrade":                regexp.MustCompile(`\A((?s:.*)[,\n])?[ \t]*[Ww][Ee][Bb][Ss][Oo][Cc][Kk][Ee][Tt][ \t]*([,\n](?s:.*))?\z`),
	"Connection":             regexp.MustCompile(`\A((?s:.*)[,\n])?[ \t]*[Uu][Pp][Gg][Rr][Aa][Dd][Ee][ \t]*([,\n](?s:.*))?\z`),
	"Sec-Websocket-Version":  regexp.MustCompile(`\A13\z`),
	"Sec-Websocket-Key":      regexp.MustCompile(`\A[A-Za-z0-9+/]{22}==\z`),
	"Sec-Websocket-Protocol": regexp.MustCompile("\\A([ \\t,\\n]*[!#$%&'*+\\-.^_`|~0-9A-Za-z]+[ \\t]*([,\\n]|\\z))*[ \\t,\\n]*\\z"),
}

// FuzzResponseHeader: whatever header the user or a middleware sets, it is
// refused or stays the one line that it is.
func FuzzResponseHeader(f *testing.F) {
	f.Add("X-Request-Id", "7", false)
	f.Add("Set-Cookie", "a=b\r\nSet-Cookie: c=d", true)
	f.Add("X-A\r\nX-B", "", false)
	f.Add("trailer:x", "y", true)
	f.Add("sec-websocket-accept", "z", true)
	f.Fuzz(func(t *testing.T, name, value string, inherited bool) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {wstest.Key},
		}
		hs := serverHandshake{r: r, opts: new(AcceptOptions)}
		if inherited {
			hs.inherited = http.Header{name: {value}}
		} else {
			hs.opts.Header = http.Header{name: {value}}
		}
		if fault := hs.run(); fault != nil {
			if fault.Status != 500 {
				t.Fatalf("%q: %q: %v", name, value, fault)
			}
			return
		}
		fixed := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wstest.Accept + "\r\n"
		line, ok := strings.CutPrefix(string(hs.appendResponse(nil)), fixed)
		if !ok {
			t.Fatalf("%q: %q spoils the response: %q", name, value, line)
		}
		if inherited && line == "\r\n" && hopHeader(name) {
			return // left out
		}
		line = strings.TrimSuffix(line, "\r\n\r\n")
		if line != name+": "+value || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("%q: %q makes the line %q", name, value, line)
		}
	})
}

// TestAppendResponseAllocations: a response is appended without allocations, if
// there is room for it and no header to sort.
func TestAppendResponseAllocations(t *testing.T) {
	hs := serverHandshake{opts: new(AcceptOptions), key: wstest.Key}
	room := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if !bytes.Contains(hs.appendResponse(room), []byte(wstest.Accept)) {
			t.Error("the accept value is missing")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
