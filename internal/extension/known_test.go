package extension

import (
	"errors"
	"strings"
	"testing"
)

// toyKind is an extension without parameters, which an end wants that wants
// compression.
var toyKind = kind{
	name: "x-toy",
	rsv:  0x20,
	off:  "it is not wanted",
	offer: func(w *Wanted) string {
		if !w.Compression {
			return ""
		}
		return "x-toy"
	},
	answer: func(w *Wanted, offer []param, a *Agreed) string {
		if !w.Compression || len(offer) > 0 {
			return ""
		}
		return "x-toy"
	},
	accepted: func(w *Wanted, answer []param, client bool, a *Agreed) error {
		if len(answer) > 0 {
			return &Error{"toy", errors.New("x-toy has a parameter")}
		}
		return nil
	},
}

// withToy makes toyKind known, until the test ends.
func withToy(t *testing.T) {
	before := known
	known = []kind{deflateKind, toyKind}
	t.Cleanup(func() { known = before })
}

// TestSeveralAnswered: a server accepts each extension that it wants once, in the
// order of the offers.
func TestSeveralAnswered(t *testing.T) {
	withToy(t)
	const name = "permessage-deflate"
	on := wanted(new(Params))
	if got := on.Offer(); got != name+"; client_max_window_bits, x-toy" {
		t.Errorf("offered %q", got)
	}
	for _, tt := range []struct {
		w             *Wanted
		offer, answer string
		rsv           uint8
	}{
		{on, "", "", 0},
		{on, name + ", x-toy", name + ", x-toy", 0x60},
		{on, "x-toy, " + name, "x-toy, " + name, 0x60},
		{on, "x-toy; a, x-other, x-toy, x-toy", "x-toy", 0x20},
		{on, name + "; a, x-toy, " + name + ", " + name, "x-toy, " + name, 0x60},
		{on, name, name, 0x40},
		{new(Wanted), name + ", x-toy", "", 0},
	} {
		answer, a, err := tt.w.Answer([]string{tt.offer})
		if answer != tt.answer || a.RSV != tt.rsv || a.Deflate.On() != (a.RSV&0x40 != 0) || err != nil {
			t.Errorf("offer %q: got %q, %+v, %v, want %q, %#x", tt.offer, answer, a, err, tt.answer, tt.rsv)
		}
		if a, err := on.Accept([]string{answer}); a.RSV != tt.rsv || err != nil {
			t.Errorf("answer %q: a client gets %+v, %v", answer, a, err)
		}
		for _, client := range []bool{false, true} {
			if a, err := on.Keep(answer, client); a.RSV != tt.rsv || err != nil {
				t.Errorf("answer %q: an end that is given it gets %+v, %v", answer, a, err)
			}
		}
	}
}

// TestSeveralRefused: the errors for an answer, of a client that has offered, and of
// either end that is given the answer.
func TestSeveralRefused(t *testing.T) {
	withToy(t)
	const name = "permessage-deflate"
	on := wanted(new(Params))
	for _, tt := range []struct {
		w                *Wanted
		answer           string
		accepting, given string
	}{
		{new(Wanted), "x-toy", `server uses extension "x-toy", which was not offered`, "x-toy is there, and it is not wanted"},
		{new(Wanted), name, `server uses extension "permessage-deflate", which was not offered`, name + " is there, and Options.Compression is nil"},
		{on, "x-toy, x-other; a=b", `server uses extension "x-other; a=b", which was not offered`, `extension "x-other; a=b" is not known`},
		{on, "x-toy, " + name + ", x-toy", "server uses x-toy 2 times, want once", "there are 2 extensions x-toy, want one"},
		{on, name + ", x-toy; a", "x-toy has a parameter", "x-toy has a parameter"},
		{on, name + "; a, x-toy", `server's permessage-deflate has no parameter "a"`, `server's permessage-deflate has no parameter "a"`},
		{on, name + " x-toy", "is malformed", "is malformed"},
	} {
		check := func(end, want string, a Agreed, err error) {
			if a != (Agreed{}) || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("answer %q: %s gets %+v, %v, want %q", tt.answer, end, a, err, want)
			}
		}
		a, err := tt.w.Accept([]string{tt.answer})
		check("a client", tt.accepting, a, err)
		for _, client := range []bool{false, true} {
			a, err := tt.w.Keep(tt.answer, client)
			check("an end that is given it", tt.given, a, err)
		}
	}
}
