package extension

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// joinExtensions writes a list as one line of a header.
func joinExtensions(list []extension) string {
	var items []string
	for _, e := range list {
		items = append(items, e.String())
	}
	return strings.Join(items, ", ")
}

func TestParseExtensions(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{ // a line break begins another header line
		{"", ""},
		{" \t,,\n,", ""},
		{"permessage-deflate", "permessage-deflate"},
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"},
		{"permessage-deflate;server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"},
		{`permessage-deflate; server_max_window_bits="10"`, "permessage-deflate; server_max_window_bits=10"},
		{`a;b="\1\0"`, "a; b=10"},
		{`a;b="c!#$%&'*+-.^_|~` + "`" + `"`, "a; b=c!#$%&'*+-.^_|~`"},
		{"  a \t;\tb  = \t1 ; c ", "a; b=1; c"},
		{"a ; b = \"1\" \t, c", "a; b=1, c"},
		{"foo\nbar; baz=2", "foo, bar; baz=2"}, // of section 9.1
		{"foo, bar; baz=2", "foo, bar; baz=2"},
		{"a,,b\n\n , c ,", "a, b, c"},
		{"a; b; b; B=1; b=2", "a; b; b; B=1; b=2"}, // what it means is not the grammar's business
		{"A, a, A", "A, a, A"},
		{strings.Repeat("a,", maxParts), strings.Repeat("a, ", maxParts-1) + "a"},
	} {
		list, err := parse(strings.Split(tt.lines, "\n"))
		if got := joinExtensions(list); got != tt.want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", tt.lines, got, err, tt.want)
		}
	}
}

func TestParseExtensionsMalformed(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{";", `want a token at ";"`},
		{"=", `want a token at "="`},
		{`"a"`, `want a token at "\"a\""`},
		{"\xe4", `want a token at`},
		{"a b", `want a comma or semicolon at "b"`},
		{"a=b", `want a comma or semicolon at "=b"`},
		{"a;", "want a token at the end"},
		{"a; ;b", `want a token at ";b"`},
		{"a;,b", `want a token at ",b"`},
		{"a; =1", `want a token at "=1"`},
		{"a;b=", "want a token at the end"},
		{"a;b=,c", `want a token at ",c"`},
		{"a;b=1=2", `want a comma or semicolon at "=2"`},
		{"a;b=1 2", `want a comma or semicolon at "2"`},
		{"a;b=(1)", `want a token at "(1)"`},
		{`a;b=""`, `want a token in quotes at "\"\""`},
		{`a;b="1 2"`, `want a token in quotes`},
		{`a;b="1,2"`, `want a token in quotes`},
		{`a;b="\""`, `want a token in quotes`},
		{`a;b="\\"`, `want a token in quotes`},
		{`a;b="1`, `want a string with an end at "\"1"`},
		{`a;b="1\"`, `want a string with an end`},
		{`a;b="1\`, `want a string with an end`},
		{`a;b="1"2`, `want a comma or semicolon at "2"`},
		{`a;b=1"2"`, `want a comma or semicolon at "\"2\""`},
		{`a;"b"=1`, `want a token at "\"b\"=1"`},
		{"a;b='1 2'", `want a comma or semicolon at "2'"`},
		{"a\x00", "want a comma or semicolon"},
		{"a;b=\"1\n2\"", `want a string with an end`},
		{"ok\nok; fine=1, b@d", `want a comma or semicolon at "@d"`}, // the whole header is invalid
		{strings.Repeat("a,", maxParts) + "a", "lists more than 100 extensions and parameters"},
		{strings.Repeat("a,\n", maxParts) + "a", "lists more than 100"},
		{"a" + strings.Repeat(";b", maxParts), "lists more than 100"},
		{strings.Repeat("a;b,", maxParts/2) + "a", "lists more than 100"},
		{"a;" + strings.Repeat("x", 5000) + "@", `want a comma or semicolon at "@"`},
		{"@" + strings.Repeat("x", 5000), `xxx..."`},
	} {
		list, err := parse(strings.Split(tt.lines, "\n"))
		var rule *Error
		if list != nil || !errors.As(err, &rule) || rule.Rule != "RFC 6455, section 9.1" ||
			!strings.HasPrefix(err.Error(), "header Sec-WebSocket-Extensions ") || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 400 {
			t.Errorf("%q: got %q, %v, want an error with %q", tt.lines, joinExtensions(list), err, tt.want)
		}
	}
}

// slowExtensions is the grammar of section 9.1 as a regular expression. It
// does not see the bound on the number of parts.
var slowExtensions = func() *regexp.Regexp {
	const (
		token  = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]"
		ws     = `[ \t]*`
		quoted = `"(\\?` + token + `)+"` // no token has a quote or a backslash, escaped or not
		value  = `(` + token + `+|` + quoted + `)`
		param  = ws + `;` + ws + token + `+(` + ws + `=` + ws + value + `)?`
		ext    = ws + token + `+(` + param + `)*` + ws
	)
	return regexp.MustCompile(`\A` + ws + `(` + ext + `)?(,(` + ext + `|` + ws + `))*\z`)
}()

// FuzzExtensions: what the grammar allows is read, anything else is not, and
// what was read says the same when it is written and read again.
func FuzzExtensions(f *testing.F) {
	for _, seed := range []string{
		"permessage-deflate; client_max_window_bits, permessage-deflate",
		"a; b=\"\\1\\0\"\n,c;d=e,,", `a;b="`, "a b", " ,\t", "a;b=\"c\"d", "x;y = 1 ;z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		list, err := parse(lines)
		if err != nil && strings.Contains(err.Error(), "more than") {
			if n := strings.Count(text, ",") + strings.Count(text, ";") + len(lines); n <= maxParts {
				t.Fatalf("%q: %v, but there are at most %d", text, err, n)
			}
			return
		}
		valid := true
		for _, line := range lines {
			valid = valid && slowExtensions.MatchString(line)
		}
		if (err == nil) != valid {
			t.Fatalf("%q: %v, the grammar says %v", text, err, valid)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Fatalf("%q: error %q", text, err)
			}
			return
		}
		once := joinExtensions(list)
		again, err := parse([]string{once})
		if err != nil || joinExtensions(again) != once || len(again) != len(list) {
			t.Fatalf("%q: read %q, and that as %q, %v", text, once, joinExtensions(again), err)
		}
	})
}
