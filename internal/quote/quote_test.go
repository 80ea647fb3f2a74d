package quote

import (
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tt := range []struct{ s, clip, line string }{
		{"", "", ""},
		{"text", "text", "text"},
		{long, long, long},
		{long + "y", long + "...", long + "..."},
		{strings.Repeat("é", 101), strings.Repeat("é", 100) + "...", strings.Repeat("é", 100) + "..."},
		{"x" + strings.Repeat("é", 100), "x" + strings.Repeat("é", 99) + "\xc3...", "x" + strings.Repeat("é", 99) + " ..."},
		{" a\tb\nc\x1b[2J\x07\r\n", " a\tb\nc\x1b[2J\x07\r\n", "a b c [2J"},
		{"a\x00b\x7fc\u009bd\u202ee\xfff\ufffdg", "a\x00b\x7fc\u009bd\u202ee\xfff\ufffdg", "a b c d e f g"},
	} {
		if got := Clip(tt.s); got != tt.clip {
			t.Errorf("Clip(%q) = %q, want %q", tt.s, got, tt.clip)
		}
		if got := Line(tt.s); got != tt.line {
			t.Errorf("Line(%q) = %q, want %q", tt.s, got, tt.line)
		}
	}
}
