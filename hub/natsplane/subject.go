package natsplane

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxSubject is how long a subject may become, in bytes. A broker takes lines
// of 4096 by default, which hold more than the subject.
const maxSubject = 1024

// subject returns the subject for a topic, which is any string: different ones
// for different topics, without spaces, wildcards and empty tokens.
//
// Letters, digits and most signs stay as they are, so that a subject can be
// read, and named where the broker is told who may do what; dots too, where
// they stand between other characters. Any other byte becomes % and two
// hexadecimal digits. The empty topic is %, and one that is too long is %h and
// its SHA-256: neither is followed by such digits, so both are told from all
// others.
func subject(topic string) string {
	var b strings.Builder
	dot := true // the last one written, or the beginning
	for i := range len(topic) {
		c := topic[i]
		plain := isPlain(c) || c == '.' && !dot && i < len(topic)-1
		dot = plain && c == '.'
		if plain {
			b.WriteByte(c)
		} else {
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
		if b.Len() > maxSubject {
			sum := sha256.Sum256([]byte(topic))
			return "%h" + hex.EncodeToString(sum[:])
		}
	}
	if topic == "" {
		return "%"
	}
	return b.String()
}

// isPlain tells of what may stand anywhere in a subject, alone included, and
// means nothing.
func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#&()+,-/:;=@[]_{}~", c) >= 0
}
