// Package deflatetest holds what tests of compressed messages share: parameters, messages,
// and a peer's two directions. It does not import the library.
package deflatetest

import (
	"bytes"
	"compress/flate"
	"fmt"

	"github.com/fullduplex-go/websocket/internal/extension"
)

// Kinds are a few of the agreements that can be negotiated.
var Kinds = []extension.Deflate{
	{Level: 5, SendBits: 15, RecvBits: 15},
	{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true},
	{Level: 1, SendBits: 8, RecvBits: 12, SendTakeover: true},
	{Level: 9, SendBits: 12, RecvBits: 8, RecvTakeover: true},
	{Level: 3, Threshold: 200, SendBits: 10, RecvBits: 9, SendTakeover: true, RecvTakeover: true},
}

// Mirror returns p as the peer sees it.
func Mirror(p extension.Deflate) extension.Deflate {
	p.SendBits, p.RecvBits = p.RecvBits, p.SendBits
	p.SendTakeover, p.RecvTakeover = p.RecvTakeover, p.SendTakeover
	return p
}

// Text returns a text of up to n bytes that compresses well.
func Text(n, seed int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"Zoë %d","ok":%v},`, i*seed, i%7, i%3 == 0)
	}
	p := b.Bytes()[:n]
	for len(p) > 0 && p[len(p)-1] >= 0x80 { // not in the middle of a character
		p = p[:len(p)-1]
	}
	return p
}

// Deflater is a peer's encoder: that of the standard library, which keeps its
// window from message to message.
type Deflater struct {
	buf bytes.Buffer
	w   *flate.Writer
}

// NewDeflater returns a Deflater without a history.
func NewDeflater() *Deflater {
	d := new(Deflater)
	d.w, _ = flate.NewWriter(&d.buf, 6)
	return d
}

// Part compresses a part of a message, such that all of it can be inflated.
func (d *Deflater) Part(p string, last bool) string {
	d.w.Write([]byte(p))
	d.w.Flush()
	z := d.buf.String()
	d.buf.Reset()
	if last {
		z = z[:len(z)-4]
	}
	return z
}

// Forget drops the window, as a sender without takeover does between messages.
func (d *Deflater) Forget() { d.w.Reset(&d.buf) }

// Deflated returns p as a message that refers to no other.
func Deflated(p string) string { return NewDeflater().Part(p, true) }

// TakeoverWire is a stream of compressed messages, and what they are. With takeover
// they refer to each other. The frames are those of encode, which gets the first byte
// and the payload.
func TakeoverWire(takeover bool, encode func(first byte, payload string) []byte) (wire []byte, msgs []string) {
	d := NewDeflater()
	add := func(parts ...string) {
		b0 := byte(0x41)
		for i, p := range parts {
			if i == len(parts)-1 {
				b0 |= 0x80
			}
			wire = append(wire, encode(b0, d.Part(p, b0&0x80 != 0))...)
			wire = append(wire, encode(0x89, "ping")...)
			b0 = 0
		}
		var msg string
		for _, p := range parts {
			msg += p
		}
		msgs = append(msgs, msg)
		if !takeover {
			d.Forget()
		}
	}
	a, b := string(Text(700, 3)), string(Text(300, 3))
	add(b)
	add(a[:200], "", "ü"[:1], "ü"[1:]+a[200:], "")
	wire = append(wire, encode(0x81, "plain")...)
	msgs = append(msgs, "plain")
	add(string(bytes.Repeat([]byte(a[:400]), 100)))
	add(b)
	add("")
	add(a, b)
	return wire, msgs
}
