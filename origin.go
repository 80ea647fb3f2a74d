package websocket

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
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
