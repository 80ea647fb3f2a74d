// Package fields reads the values of header fields that are lists of tokens (RFC
// 9110, section 5.6).
package fields

import (
	"iter"
	"net/http"
	"net/textproto"
	"strings"
)

// Items yields the elements of a comma-separated header that may have
// been sent in several lines. Empty elements do not count (RFC 9110, 5.6.1).
func Items(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[textproto.CanonicalMIMEHeaderKey(name)] {
			for item := range strings.SplitSeq(line, ",") {
				if item = strings.Trim(item, " \t"); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}

// HasToken reports whether the list header holds token, in any case.
func HasToken(h http.Header, name, token string) bool {
	for item := range Items(h, name) {
		if SameToken(item, token) {
			return true
		}
	}
	return false
}

// SameToken compares without regard to the case of ASCII letters. Equal lengths
// keep EqualFold to those: the letters beyond ASCII that fold to it, such as
// the Kelvin sign, take more bytes.
func SameToken(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// IsToken reports whether s is a token of RFC 9110, section 5.6.2.
func IsToken(s string) bool { return s != "" && TokenLen(s) == len(s) }

// TokenLen returns the length of the token that s begins with, 0 if it begins
// with none.
func TokenLen(s string) int {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return i
		}
	}
	return len(s)
}
