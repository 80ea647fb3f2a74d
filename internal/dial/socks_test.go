package dial

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

// script is a connection with these bytes to read, and what was
// written to it.
type script struct {
	net.Conn
	r io.Reader
	w bytes.Buffer
}

func (c *script) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c *script) Write(p []byte) (int, error) { return c.w.Write(p) }

func TestOpenSOCKS(t *testing.T) {
	const (
		free    = "\x05\x00"
		login   = "\x05\x02"
		hello   = "\x05\x01\x00"
		hellos  = "\x05\x02\x00\x02"
		granted = "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
	)
	long := strings.Repeat("x", 256)
	name := "\x05\x01\x00\x03\x06a.test\x00\x50"
	for _, tt := range []struct {
		what, user, target string
		answer, sent       string
		want               string // error, or "" for a tunnel
	}{
		{"name", "", "a.test:80", free + granted, hello + name, ""},
		{"IPv4", "", "127.0.0.1:443", free + granted, hello + "\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb", ""},
		{"IPv6", "", "[::1]:65535", free + granted, hello + "\x05\x01\x00\x04" + strings.Repeat("\x00", 15) + "\x01\xff\xff", ""},
		{"IPv6 with a zone", "", "[fe80::1%lo]:1", free + granted, hello + "\x05\x01\x00\x04\xfe\x80" + strings.Repeat("\x00", 13) + "\x01\x00\x01", ""},
		{"answer with IPv6", "", "a.test:80", free + "\x05\x00\x00\x04" + strings.Repeat("\x01", 18), hello + name, ""},
		{"answer with a name", "", "a.test:80", free + "\x05\x00\x00\x03\x05abcde\x00\x50", hello + name, ""},
		{"answer with an empty name", "", "a.test:80", free + "\x05\x00\x00\x03\x00\x00\x50", hello + name, ""},
		{"user that is not asked for", "u:p", "a.test:80", free + granted, hellos + name, ""},
		{"user", "u:pp", "a.test:80", login + "\x01\x00" + granted, hellos + "\x01\x01u\x02pp" + name, ""},
		{"user without a password", "u", "a.test:80", login + "\x01\x00" + granted, hellos + "\x01\x01u\x00" + name, ""},

		{"wrong user", "u:p", "a.test:80", login + "\x01\x01", hellos + "\x01\x01u\x01p", "it does not accept user and password"},
		{"no user", "", "a.test:80", "\x05\xff", hello, "user and password belong into its URL"},
		{"no user, but asked", "", "a.test:80", login, hello, "no common way to authenticate"},
		{"no common way", "u:p", "a.test:80", "\x05\xff", hellos, "no common way to authenticate"},
		{"a way not offered", "u:p", "a.test:80", "\x05\x01", hellos, "no common way to authenticate"},
		{"long user", long, "a.test:80", login, hellos, "1 to 255 bytes"},
		{"long password", "u:" + long, "a.test:80", login, hellos, "1 to 255 bytes"},
		{"other version", "", "a.test:80", "\x04\x00", hello, "answers with version 4"},
		{"not SOCKS", "", "a.test:80", "HTTP/1.1 400", hello, "answers with version 72"},
		{"long name", "", long + ":80", free, hello, "at most 255 bytes"},
		{"ruleset", "", "a.test:80", free + "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", hello + name, "it cannot connect to a.test:80: connection not allowed by ruleset"},
		{"refused", "", "a.test:80", free + "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", hello + name, "it cannot connect to a.test:80: connection refused"},
		{"unknown code", "", "a.test:80", free + "\x05\x99\x00\x01\x00\x00\x00\x00\x00\x00", hello + name, "code 153"},
		{"unknown address", "", "a.test:80", free + "\x05\x00\x00\x02\x00\x00\x00\x00\x00\x00", hello + name, "address of type 2"},
		{"end", "", "a.test:80", "", hello, "unexpected EOF"},
		{"end behind the greeting", "", "a.test:80", free, hello + name, "unexpected EOF"},
		{"end in the address", "", "a.test:80", free + granted[:9], hello + name, "unexpected EOF"},
	} {
		proxy := &url.URL{Scheme: "socks5", Host: "p:1080"}
		if user, password, ok := strings.Cut(tt.user, ":"); ok {
			proxy.User = url.UserPassword(user, password)
		} else if tt.user != "" {
			proxy.User = url.User(user)
		}
		const tail = "tunnel"
		wire := tt.answer
		if tt.want == "" {
			wire += tail
		}
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(wire), "byte by byte": iotest.OneByteReader(strings.NewReader(wire))} {
			c := &script{r: r}
			err := openSOCKS(c, proxy, tt.target)
			if c.w.String() != tt.sent {
				t.Errorf("%s, %s: sent %q, want %q", tt.what, how, &c.w, tt.sent)
			}
			switch {
			case tt.want != "":
				if err == nil || !strings.HasPrefix(err.Error(), "proxy p:1080: SOCKS5: ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "pp") {
					t.Errorf("%s, %s: got %v, want %q", tt.what, how, err, tt.want)
				}
				if strings.HasPrefix(tt.what, "end") && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v is no unexpected EOF", tt.what, err)
				}
			case err != nil:
				t.Errorf("%s, %s: %v", tt.what, how, err)
			default:
				if b, err := io.ReadAll(c); string(b) != tail || err != nil {
					t.Errorf("%s, %s: %q is left, %v; want %q", tt.what, how, b, err, tail)
				}
			}
		}
	}
}

// FuzzOpenSOCKS: a proxy may answer anything.
func FuzzOpenSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x03\x02ab\x00\x50rest"), true)
	f.Add([]byte("\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest"), false)
	f.Fuzz(func(t *testing.T, answer []byte, user bool) {
		proxy := &url.URL{Scheme: "socks5", Host: "p"}
		if user {
			proxy.User = url.UserPassword("u", "p")
		}
		r := bytes.NewReader(answer)
		if err := openSOCKS(&script{r: r}, proxy, "h:1"); err == nil && (len(answer)-r.Len() < 9 || answer[0] != 5) {
			t.Fatalf("%q opens a tunnel", answer)
		}
	})
}
