// Package quote shortens text of the peer, so that an error, an answer or a log may
// repeat it.
package quote

import (
	"strings"
	"unicode"
)

// limit is how many bytes of a text are repeated.
const limit = 200

// Clip returns s, or its beginning and an ellipsis if s is long. It is for places
// that escape unprintable characters: %q, and the attributes of a log record.
func Clip(s string) string {
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// Line returns Clip of s as one line of printable characters, for places that do
// not escape it. Each other character becomes a space, so that none controls a
// terminal or forges a log line. There is no space at either end.
func Line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, Clip(s)))
}
