package natsplane

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxSubject is the length of the longest subject, in bytes. A broker takes lines
// of 4096 bytes by default, which hold more than the subject.
const maxSubject = 1024

// subject returns the subject for a topic, which is any string. Different topics
// have different subjects, without spaces, wildcards and empty tokens.
//
// Letters, digits and most signs stay as they are, so that people can read a
// subject, and name it in the broker's permissions. So do dots between other
// characters. Any other byte becomes % and two hexadecimal digits. The empty
// topic becomes %, and a topic that is too long becomes %h and its SHA-256: in
// neither is % followed by two hexadecimal digits, so no other topic has that
// subject.
func subject(topic string) string {
	var b strings.Builder
	dot := true // at the beginning, or after a dot
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

// isPlain reports whether c may stand anywhere in a subject, alone included, and
// has no special meaning.
func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#&()+,-/:;=@[]_{}~", c) >= 0
}
