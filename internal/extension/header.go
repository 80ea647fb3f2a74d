// Package extension negotiates the extensions of a connection: the grammar of the
// header Sec-WebSocket-Extensions (RFC 6455, section 9.1), a list of the extensions
// that are known, and the offers and answers of permessage-deflate (RFC 7692,
// section 7), the only one.
//
// Each end has a [Wanted]. A client sends its Offer and has Accept judge the server's
// answer; a server calls Answer. Either end gets an [Agreed].
package extension

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// maxParts bounds how many extensions and parameters, taken together,
// a Sec-WebSocket-Extensions header may list. Clients send about five; net/http
// lets through headers of a megabyte.
const maxParts = 100

// extension is one element of a Sec-WebSocket-Extensions header: an offer of
// the client, or an extension that the server has accepted.
type extension struct {
	name   string
	params []param
}

// param is a parameter of an extension. Its value has no quotes, and is "" if
// there is none: a value is a token, which is never empty.
type param struct {
	name, value string
}

func (e extension) String() string {
	var b strings.Builder
	b.WriteString(e.name)
	for _, p := range e.params {
		b.WriteString("; " + p.name)
		if p.value != "" {
			b.WriteString("=" + p.value)
		}
	}
	return b.String()
}

// parse returns the elements of a Sec-WebSocket-Extensions header
// that has come in these lines (RFC 6455, section 9.1):
//
//	extension-list  = 1#extension
//	extension       = token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
//
// with white space anywhere between, and empty elements that do not count. A
// list of nothing else passes for none. An error means that the whole header
// must not be used: "the recipient of such malformed data MUST immediately
// _Fail the WebSocket Connection_".
func parse(lines []string) (list []extension, err error) {
	parts := 0
	for _, line := range lines {
		p := parser{rest: line}
		for p.more() {
			e, err := p.extension(maxParts - parts)
			if err != nil {
				return nil, &Error{"RFC 6455, section 9.1", err}
			}
			parts += 1 + len(e.params)
			list = append(list, e)
		}
	}
	return list, nil
}

// parser parses one line of the header.
type parser struct {
	rest string // the unparsed part; white space may precede it only at the line's beginning
}

// more skips commas and white space, and reports whether another element follows.
func (p *parser) more() bool {
	p.rest = strings.TrimLeft(p.rest, ", \t")
	return p.rest != ""
}

// extension parses an element, and checks that a comma or the end follows. The
// element has at most limit parts, its name included.
func (p *parser) extension(limit int) (e extension, err error) {
	for parts := 1; ; parts++ {
		if parts > limit {
			return e, fmt.Errorf("header Sec-WebSocket-Extensions lists more than %d extensions and parameters", maxParts)
		}
		if parts == 1 {
			e.name, err = p.token()
		} else {
			var next param
			next, err = p.param()
			e.params = append(e.params, next)
		}
		switch {
		case err != nil:
			return e, err
		case p.rest == "" || p.rest[0] == ',':
			return e, nil
		case !p.skip(';'):
			return e, p.malformed("a comma or semicolon")
		}
	}
}

func (p *parser) param() (next param, err error) {
	if next.name, err = p.token(); err == nil && p.skip('=') {
		next.value, err = p.value()
	}
	return next, err
}

// value parses a token, or a quoted string: "the value after quoted-string
// unescaping MUST conform to the 'token' ABNF".
func (p *parser) value() (string, error) {
	if p.rest == "" || p.rest[0] != '"' {
		return p.token()
	}
	var value []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			if !fields.IsToken(string(value)) {
				return "", p.malformed("a token in quotes")
			}
			p.advance(i + 1)
			return string(value), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
		}
		value = append(value, p.rest[i])
	}
	return "", p.malformed("a string with an end")
}

func (p *parser) token() (string, error) {
	n := fields.TokenLen(p.rest)
	if n == 0 {
		return "", p.malformed("a token")
	}
	token := p.rest[:n]
	p.advance(n)
	return token, nil
}

// skip skips c if it is next.
func (p *parser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.advance(1)
	return true
}

// advance skips n bytes, and the white space after them.
func (p *parser) advance(n int) { p.rest = strings.TrimLeft(p.rest[n:], " \t") }

func (p *parser) malformed(want string) error {
	if p.rest == "" {
		return errors.New("header Sec-WebSocket-Extensions is malformed: want " + want + " at the end")
	}
	return fmt.Errorf("header Sec-WebSocket-Extensions is malformed: want %s at %q", want, quote.Clip(p.rest))
}

// Error reports that the peer's header breaks a rule.
type Error struct {
	Rule string // such as "RFC 6455, section 9.1"
	err  error
}

func (e *Error) Error() string { return e.err.Error() }
