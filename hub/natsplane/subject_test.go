package natsplane

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

var subjects = []struct{ topic, subject string }{
	{"prices", "prices"},
	{"prices.EUR/USD", "prices.EUR/USD"},
	{"room:42", "room:42"},
	{"{a}-(b)_[c];~@#&!+,=", "{a}-(b)_[c];~@#&!+,="},
	{"$SYS.REQ", "%24SYS.REQ"},
	{"_INBOX.x", "_INBOX.x"}, // harmless behind a prefix
	{"", "%"},
	{"%", "%25"},
	{"%h", "%25h"},
	{"%25", "%2525"},
	{".", "%2E"},
	{"..", "%2E%2E"},
	{".a", "%2Ea"},
	{"a.", "a%2E"},
	{"a..b", "a.%2Eb"},
	{"a...b", "a.%2E.b"},
	{"*", "%2A"},
	{">", "%3E"},
	{"a.*.>", "a.%2A.%3E"},
	{"a*b", "a%2Ab"},
	{"two words", "two%20words"},
	{"a\tb\r\nPUB c 1\r\n", "a%09b%0D%0APUB%20c%201%0D%0A"},
	{"\x00\x7f\xff", "%00%7F%FF"},
	{"töpfe", "t%C3%B6pfe"},
	{"日本", "%E6%97%A5%E6%9C%AC"},
	{`"'\^|<?` + "`", "%22%27%5C%5E%7C%3C%3F%60"},
	{strings.Repeat("a", maxSubject), strings.Repeat("a", maxSubject)},
	{strings.Repeat("é", maxSubject/6) + "aaaa", strings.Repeat("%C3%A9", maxSubject/6) + "aaaa"},
	{strings.Repeat("a", maxSubject+1), "%h" + hash(strings.Repeat("a", maxSubject+1))},
	{strings.Repeat("é", 10_000), "%h" + hash(strings.Repeat("é", 10_000))},
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestSubject(t *testing.T) {
	for _, test := range subjects {
		if got := subject(test.topic); got != test.subject {
			t.Errorf("%.50q becomes %q, want %q", test.topic, got, test.subject)
		}
	}
}

// FuzzSubject: a subject is valid behind any prefix, and the topic can be derived from
// it, so no two topics have the same subject.
func FuzzSubject(f *testing.F) {
	for _, test := range subjects {
		f.Add(test.topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		s := subject(topic)
		if !server.IsValidLiteralSubject("hub." + s) {
			t.Errorf("%q becomes %q, which is no subject", topic, s)
		}
		for i := range len(s) {
			if s[i] <= ' ' || s[i] > '~' {
				t.Errorf("%q becomes %q", topic, s)
			}
		}
		if len(s) > maxSubject {
			t.Errorf("%q becomes %d bytes", topic, len(s))
		}
		if s == "%h"+hash(topic) {
			if 3*len(topic) <= maxSubject {
				t.Errorf("%q is not too long", topic)
			}
			return
		}
		if got, ok := decode(s); !ok || got != topic {
			t.Errorf("%q becomes %q, which is %q", topic, s, got)
		}
	})
}

// decode undoes subject, but for hashes.
func decode(s string) (topic string, ok bool) {
	if s == "%" {
		return "", true
	}
	var b []byte
	for ; s != ""; s = s[1:] {
		if s[0] != '%' {
			b = append(b, s[0])
			continue
		}
		if len(s) < 3 {
			return "", false
		}
		n, err := strconv.ParseUint(s[1:3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(n))
		s = s[2:]
	}
	return string(b), true
}
