package request

import "encoding/binary"

const (
	inToken = 1 << iota // RFC 9110, section 5.6.2
	inPath              // a path with nothing else is its own escaped form to net/url
	inHost              // allowed in a Host by net/http, which checks no more
)

// class says for each byte where it may stand.
var class = func() (t [256]uint8) {
	mark := func(chars string, in uint8) {
		for _, c := range []byte(chars) {
			t[c] |= in
		}
	}
	const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mark(alphanumeric, inToken|inPath|inHost)
	mark("!#$%&'*+-.^_`|~", inToken)
	mark("-_.~$&+,/:;=@", inPath)
	mark("!$%&'()*+,-.:;=[]_~", inHost)
	return t
}()

// isToken reports whether b is a token.
func isToken(b []byte) bool {
	for _, c := range b {
		if class[c]&inToken == 0 {
			return false
		}
	}
	return len(b) > 0
}

// nameOrSpaces reports whether b has only characters of a token, and spaces. A name
// with a space is refused when the head is complete, since another field may have
// an error with a different status, which comes first.
func nameOrSpaces(b []byte) bool {
	for _, c := range b {
		if class[c]&inToken == 0 && c != ' ' {
			return false
		}
	}
	return true
}

// validHost reports whether s may be the value of header Host.
func validHost(s string) bool {
	for i := range len(s) {
		if class[s[i]]&inHost == 0 {
			return false
		}
	}
	return true
}

// hasControl reports whether b holds a control character of ASCII, except for tabs
// if they are allowed.
func hasControl(b []byte, tabs bool) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		// The top bit of a byte is set if the byte is less than a space, or DEL. The bit
		// of a neighbour may be set wrongly, so the bytes are then checked one by one.
		less := (w - ones*' ') & ^w
		d := w ^ ones*0x7f
		if (less|(d-ones)&^d)&tops != 0 && anyControl(b[:8], tabs) {
			return true
		}
		b = b[8:]
	}
	return anyControl(b, tabs)
}

func anyControl(b []byte, tabs bool) bool {
	for _, c := range b {
		if (c < ' ' || c == 0x7f) && !(tabs && c == '\t') {
			return true
		}
	}
	return false
}
