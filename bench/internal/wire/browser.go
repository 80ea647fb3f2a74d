package wire

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"
)

// browserText is the record of cmd/capture.
//
//go:embed browser.txt
var browserText string

// host is the host of the browser's page. Clients that are no browser send it too, so
// that all send as many bytes.
const host = "app.example.com"

// browserRequests are the requests of a browser.
type browserRequests struct {
	// HTTP/1.1, as it was sent, up to and with the empty line; {path} stands
	// for the path.
	fetch, eventSource, webSocket string

	// HTTP/2, without the pseudo-headers.
	fetch2, eventSource2 http.Header
}

// browser are the requests of the browser that was captured.
var browser = parseBrowser(browserText)

// BrowserVersion returns the captured browser, and the date.
func BrowserVersion() string {
	var lines []string
	for line := range strings.Lines(browserText) {
		text, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	return strings.Join(lines, " ")
}

// parseBrowser panics on a text that cmd/capture does not write.
func parseBrowser(text string) browserRequests {
	sections := make(map[string]string)
	for part := range strings.SplitSeq(text, "\n== ") {
		title, body, _ := strings.Cut(part, "\n")
		title, _, _ = strings.Cut(title, " (")
		sections[title] = strings.TrimSpace(body)
	}
	section := func(title string) string {
		if sections[title] == "" {
			panic("wire: browser.txt has no section " + title)
		}
		return sections[title]
	}
	request := func(title string) string {
		return strings.ReplaceAll(section(title), "\n", "\r\n") + "\r\n\r\n"
	}
	header := func(title string) http.Header {
		h := make(http.Header)
		for line := range strings.Lines(section(title)) {
			name, value, ok := strings.Cut(line, ": ")
			if !ok {
				panic(fmt.Sprintf("wire: browser.txt: %q is no header", line))
			}
			h.Set(name, strings.TrimSpace(value))
		}
		return h
	}
	return browserRequests{
		fetch:        request("fetch, HTTP/1.1"),
		eventSource:  request("eventsource, HTTP/1.1"),
		webSocket:    request("websocket, HTTP/1.1"),
		fetch2:       header("fetch, HTTP/2"),
		eventSource2: header("eventsource, HTTP/2"),
	}
}

// requestFor puts the path into a request.
func requestFor(request, path string) string {
	return strings.Replace(request, "{path}", path, 1)
}

// headerOf returns the value of a header of a request.
func headerOf(request, name string) string {
	for line := range strings.SplitSeq(request, "\r\n") {
		if n, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}
