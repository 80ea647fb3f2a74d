// Package quote bounds text of a peer's, so that an error, an answer or a log may
// repeat it.
package quote

import (
	"strings"
	"unicode"
)

// limit is how many bytes of a text are repeated.
const limit = 200

// Clip returns s, or its beginning and an ellipsis if s is long. It is for places
// that escape what cannot be printed: %q, and the attributes of a log record.
func Clip(s string) string {
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// Line returns Clip of s as a line of printable characters, for places that show
// it as it is: each other character is a space, so that none does something to a
// terminal or a log. There is no space at either end.
func Line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, Clip(s)))
}
