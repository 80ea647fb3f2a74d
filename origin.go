package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/fullduplex-go/websocket/internal/prefix"
)

// origin is a web origin (RFC 6454) in lower case. A port that is the
// scheme's default is "", so that == compares origins.
type origin struct{ scheme, host, port string }

// parseOrigin parses scheme://host[:port]. Hosts are what browsers send:
// names in ASCII, IPv4 addresses, and IPv6 addresses in brackets.
func parseOrigin(s string) (o origin, ok bool) {
	scheme, host, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || !alphanumeric(scheme, "+-.") {
		return o, false
	}
	scheme = strings.ToLower(scheme)

	port := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return o, false
		}
		port = strconv.FormatUint(n, 10)
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}

	if addr, found := strings.CutPrefix(host, "["); found {
		addr, ok = strings.CutSuffix(addr, "]")
		if ip, err := netip.ParseAddr(addr); !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return o, false
		}
	} else if host == "" || !alphanumeric(host, "-._~") {
		return o, false
	}
	return origin{scheme, strings.ToLower(host), port}, true
}

// originHasPath reports whether s is an origin followed by a path, which may be a
// single slash, a query or a fragment.
func originHasPath(s string) bool {
	scheme, rest, _ := strings.Cut(s, "://")
	i := strings.IndexAny(rest, "/?#")
	if i < 0 {
		return false
	}
	_, ok := parseOrigin(scheme + "://" + rest[:i])
	return ok
}

// alphanumeric reports whether s has nothing but ASCII letters, digits and
// the characters in others.
func alphanumeric(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func (o origin) String() string { return o.scheme + "://" + o.authority() }

func (o origin) authority() string {
	if o.port == "" {
		return o.host
	}
	return o.host + ":" + o.port
}

// matches reports whether o matches one of [AcceptOptions.OriginPatterns].
func (o origin) matches(pattern string) bool {
	name := o.authority()
	scheme, host := splitOriginPattern(pattern)
	if scheme != "" {
		name = o.String()
	}
	ok, _ := path.Match(strings.ToLower(scheme+host), name)
	return ok
}

// splitOriginPattern splits a pattern after its "://", if it has one, and escapes
// the brackets of an IPv6 address, which [path.Match] would read as a set of
// characters.
func splitOriginPattern(pattern string) (scheme, host string) {
	host = pattern
	if i := strings.Index(pattern, "://"); i >= 0 {
		scheme, host = pattern[:i+3], pattern[i+3:]
	}
	if addr, port, ok := strings.Cut(host, "]"); ok && strings.HasPrefix(addr, "[") && strings.Contains(addr, ":") {
		host = `\` + addr + `\]` + port
	}
	return scheme, host
}

// checkOriginPattern refuses a pattern that is malformed, or that looks like
// a URL and therefore can match no origin.
func checkOriginPattern(pattern string) error {
	scheme, host := splitOriginPattern(pattern)
	if _, err := path.Match(scheme+host, ""); err != nil {
		return fmt.Errorf("websocket: origin pattern %q: %w", pattern, err)
	}
	if strings.Contains(host, "/") {
		return fmt.Errorf("websocket: origin pattern %q has a path, and origins have none", pattern)
	}
	return nil
}

// mayBlock reports whether a handshake calls functions of the user's.
func (o *AcceptOptions) mayBlock() bool { return o.CheckOrigin != nil || o.Admit != nil }

// admit calls AcceptOptions.Admit. It is the last step, so Admit sees valid
// handshakes only.
func (hs *serverHandshake) admit() *HandshakeError {
	if hs.opts.Admit == nil {
		return nil
	}
	header, err := hs.opts.Admit(hs.r)
	if err != nil {
		return notAdmitted(err)
	}
	if err := checkResponseHeader(header); err != nil {
		return fault(fmt.Errorf("%w (AcceptOptions.Admit returned it)", err))
	}
	hs.admitted = header
	return nil
}

// notAdmitted returns the answer to a request for which Admit has returned err.
func notAdmitted(err error) *HandshakeError {
	var refusal *HandshakeError
	if !errors.As(err, &refusal) || refusal == nil {
		return fault(fmt.Errorf("websocket: AcceptOptions.Admit: %w", prefix.Trim(err)))
	}
	e := &HandshakeError{Status: refusal.Status, Reason: refusal.Reason, Header: refusal.Header, err: err}
	if e.Status == 0 {
		e.Status = http.StatusForbidden
	}
	if e.Reason == "" {
		e.Reason = http.StatusText(e.Status)
	}
	if e.Status < 300 || e.Status > 599 {
		return fault(fmt.Errorf("websocket: AcceptOptions.Admit refuses with status %d, want one from 300 to 599: %w", e.Status, prefix.Trim(err)))
	}
	if invalid := checkHeader(e.Header); invalid != nil {
		return fault(fmt.Errorf("%w (AcceptOptions.Admit refuses with it)", invalid))
	}
	for name := range e.Header {
		if hopHeader(name) || contentHeader(name) { // the content is Reason, in plain text
			return fault(fmt.Errorf("websocket: header %s cannot be sent with a refusal (AcceptOptions.Admit refuses with it)", name))
		}
	}
	return e
}
