package dial

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Target is a WebSocket URL, taken apart.
type Target struct {
	url      *url.URL // as net/http takes it: http or https
	socket   string   // path of the Unix domain socket, or ""
	redacted string   // as errors show it
}

// String returns the URL without user, password and query.
func (t Target) String() string { return t.redacted }

// ParseURL parses a URL with the scheme ws, wss, http, https or ws+unix. Its errors
// do not repeat a URL that may hold a password.
func ParseURL(raw string) (Target, error) {
	var t Target
	beforeQuery, query, found := strings.Cut(raw, "?")
	if found {
		query = "?" + escapeQuery(query)
	}
	u, err := url.Parse(beforeQuery + query)
	if err != nil {
		// An unescaped password may break the URL at any place.
		var ue *url.Error
		if !errors.As(err, &ue) || strings.Contains(raw, "@") {
			return t, errors.New("malformed URL")
		}
		return t, fmt.Errorf("malformed URL: %w", ue.Err)
	}
	if strings.Contains(raw, "#") { // "MUST NOT be used on these URIs", section 3
		return t, errors.New("URL has a fragment; a # in a path or query is written %23")
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port means none
	t.redacted = redactedURL(u)
	if u.Scheme == "ws+unix" {
		t.socket, t.url, err = splitSocketURL(u)
		return t, err
	}
	t.url = u
	if !useHTTPScheme(u) {
		return t, fmt.Errorf("URL scheme %q is none of ws, wss, http, https, ws+unix", u.Scheme)
	}
	switch {
	case u.Hostname() == "":
		return t, errors.New("URL has no host")
	case !sendableHost(u.Host):
		return t, fmt.Errorf("URL has the host %q, which cannot be sent", u.Host)
	}
	return t, nil
}

// escapeQuery escapes a query for sending, as browsers do: it removes tabs and line
// breaks, and percent-encodes characters that a query cannot have (RFC 3986,
// section 3.4). It leaves a #, which begins a fragment.
func escapeQuery(query string) string {
	var b []byte
	for i := range len(query) {
		switch c := query[i]; {
		case c == '\t' || c == '\n' || c == '\r':
		case c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>':
			b = fmt.Appendf(b, "%%%02X", c)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// sendableHost reports whether net/http would put the host[:port] into a Host
// header. Otherwise it would send an empty one. Names beyond ASCII are
// translated (IDNA).
func sendableHost(host string) bool {
	const ascii = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%!$&'()*+,;=:[]"
	for i := range len(host) {
		if c := host[i]; c < 0x80 && strings.IndexByte(ascii, c) < 0 {
			return false
		}
	}
	return host != "" && utf8.ValidString(host)
}

// checkHost refuses a Host header of the user that is not a host[:port]
// (RFC 9110, section 7.2).
func checkHost(host string) error {
	u, err := url.Parse("http://" + host + "/")
	if err == nil && u.Host == host && u.Hostname() != "" && u.Path == "/" && sendableHost(host) {
		// Only net/http knows whether a name can be translated (IDNA).
		try := http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: host, Path: "/"}, Host: host}
		err = try.Write(io.Discard)
	} else if err == nil {
		err = errors.New("not of the form host or host:port")
	}
	if err != nil {
		return fmt.Errorf("header Host is %q, which cannot be sent: %w", host, err)
	}
	return nil
}

// splitSocketURL splits a ws+unix URL into the socket's path and the URL to request
// from the server there.
func splitSocketURL(u *url.URL) (socket string, request *url.URL, err error) {
	if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return "", nil, errors.New("want ws+unix:///path/to.sock:/request/path")
	}
	escaped, path, _ := strings.Cut(u.EscapedPath(), ":")
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return "", nil, errors.New("request path of a ws+unix URL must begin with /; a colon in the socket's path is written %3A")
	}
	request = &url.URL{Scheme: "http", Host: "localhost", User: u.User, RawPath: path, RawQuery: u.RawQuery}
	socket, _ = url.PathUnescape(escaped) // EscapedPath returns a well-formed path
	if hasDriveLetter(socket) {
		socket = socket[1:]
	}
	request.Path, _ = url.PathUnescape(path)
	return socket, request, nil
}

// hasDriveLetter reports whether a path begins with a Windows drive, as in "/C:/a". The
// slash then belongs to the URL only, as in a file URL (RFC 8089, appendix E.2).
func hasDriveLetter(path string) bool {
	if len(path) < 4 || path[2] != ':' || path[3] != '/' && path[3] != '\\' {
		return false
	}
	letter := path[1] | 0x20
	return 'a' <= letter && letter <= 'z'
}

// useHTTPScheme replaces a WebSocket scheme by the HTTP one for net/http. It
// returns false for an unknown scheme.
func useHTTPScheme(u *url.URL) bool {
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return false
	}
	return true
}

// redactedURL returns u without the parts that must not get into a log.
func redactedURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// sameOrigin compares scheme, host and port of two http or https URLs.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(hostPort(a), hostPort(b))
}

// hostPort returns host:port of an http or https URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		if port = "80"; u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
