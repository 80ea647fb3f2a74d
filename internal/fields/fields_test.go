package fields

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestItems(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{" , ,\t,"}, ""},
		{[]string{"a"}, "a"},
		{[]string{" a ,\tb c\t,,d"}, "a|b c|d"},
		{[]string{"a,b", "", ",c"}, "a|b|c"},
	} {
		h := http.Header{"X-List": tt.lines, "X-Other": {"x"}}
		for _, name := range []string{"X-List", "x-list"} {
			if got := strings.Join(slices.Collect(Items(h, name)), "|"); got != tt.want {
				t.Errorf("%q of %q: got %q, want %q", name, tt.lines, got, tt.want)
			}
		}
		n := 0
		for range Items(h, "X-List") {
			n++
			break
		}
		if want := min(1, len(tt.want)); n != want {
			t.Errorf("%q: %d elements until the break, want %d", tt.lines, n, want)
		}
	}
}

func TestHasToken(t *testing.T) {
	h := http.Header{"Connection": {"keep-alive", "foo , UpGrade"}, "Other": {"close", "\u212aelvin"}}
	for token, want := range map[string]bool{
		"upgrade": true, "Upgrade": true, "KEEP-ALIVE": true, "foo": true,
		"fo": false, "grade": false, "close": false, "": false,
	} {
		if got := HasToken(h, "connection", token); got != want {
			t.Errorf("%q: got %v, want %v", token, got, want)
		}
	}
	if HasToken(h, "Other", "kelvin") {
		t.Error("the Kelvin sign passes for a k")
	}
}

func TestToken(t *testing.T) {
	const special = "!#$%&'*+-.^_`|~"
	for c := range 256 {
		s := string([]byte{byte(c)})
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		want := alnum || c < 0x80 && strings.Contains(special, s)
		if got := IsToken(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
		if n := TokenLen("ab" + s); n != 2 && !want || n != 3 && want {
			t.Errorf("%q: a token of %d bytes", "ab"+s, n)
		}
	}
	if IsToken("") || TokenLen("") != 0 || IsToken("a b") || TokenLen(" a") != 0 {
		t.Error("a token that is none")
	}
}
