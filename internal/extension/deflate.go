package extension

import (
	"fmt"
	"strconv"

	"github.com/fullduplex-go/websocket/internal/flate"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// deflateName is the extension's name, followed by its parameters (RFC 7692,
// section 7.1). Case matters.
const (
	deflateName             = "permessage-deflate"
	serverNoTakeoverName    = "server_no_context_takeover"
	clientNoTakeoverName    = "client_no_context_takeover"
	serverMaxWindowBitsName = "server_max_window_bits"
	clientMaxWindowBitsName = "client_max_window_bits"
)

// minBudgetBits is the smallest window that fit chooses: a window below 512 bytes
// saves next to no memory, and finds fewer matches.
const minBudgetBits = 9

// defaultThreshold stands for a Threshold of zero.
const defaultThreshold = 128

// deflateKind is permessage-deflate. Bit RSV1 marks a compressed message (RFC 7692,
// section 6).
var deflateKind = kind{
	name:     deflateName,
	rsv:      0x40,
	off:      "Options.Compression is nil",
	offer:    offerDeflate,
	answer:   answerDeflate,
	accepted: acceptedDeflate,
}

// Params are the settings of one end, as the program has chosen them. Its fields are
// those of CompressionOptions, which errors name. The zero value is valid.
type Params struct {
	Level                   int // of our compressor, 1 to 9; 0 is [flate.DefaultLevel]
	Threshold               int // the size of the smallest message to compress; 0 is 128
	WindowBits              int // of the largest window, 8 to 15; 0 is 15
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool
	MemoryBudget            int // bytes to keep between messages; 0 is no bound
}

// windowBits is WindowBits with its default.
func (o *Params) windowBits() uint8 {
	if o.WindowBits == 0 {
		return flate.MaxWindowBits
	}
	return uint8(o.WindowBits)
}

// deflate returns the parameters by o alone, before the peer's answer.
func (o *Params) deflate() Deflate {
	d := Deflate{
		SendBits:     o.windowBits(),
		RecvBits:     o.windowBits(),
		SendTakeover: true,
		RecvTakeover: true,
		Level:        o.Level,
		Threshold:    max(o.Threshold, 0),
	}
	if o.Level == 0 {
		d.Level = flate.DefaultLevel
	}
	if o.Threshold == 0 {
		d.Threshold = defaultThreshold
	}
	return d
}

// Deflate holds the negotiated parameters of permessage-deflate, seen from this end.
// The zero value means no compression.
type Deflate struct {
	SendBits, RecvBits         uint8 // window sizes of each direction, as base-2 logarithms
	SendTakeover, RecvTakeover bool  // whether messages refer to earlier ones

	Level     int // of our compressor
	Threshold int // the size of the smallest message to compress
}

// On reports whether there is compression.
func (c *Deflate) On() bool { return c.SendBits != 0 }

// sendMemory is how many bytes the sending direction keeps between messages.
func (c *Deflate) sendMemory() int {
	if !c.SendTakeover {
		return 0
	}
	return flate.EncoderMemory(c.Level, int(c.SendBits))
}

// recvMemory is how many bytes the receiving direction keeps between messages.
func (c *Deflate) recvMemory() int {
	if !c.RecvTakeover {
		return 0
	}
	return 1 << c.RecvBits
}

// fit makes c keep at most budget bytes between messages; 0 is no bound. It
// chooses the largest windows that fit, both of the same size if the peer can be
// limited, and otherwise only the sending one. If none fit, the direction that
// keeps more gives up takeover. Its window then costs nothing between messages, and
// the other window is fitted anew.
func (c *Deflate) fit(budget int, limitable bool) {
	send, recv := c.SendBits, c.RecvBits
	for budget != 0 {
		for limit := uint8(flate.MaxWindowBits); limit >= minBudgetBits; limit-- {
			if c.SendTakeover {
				c.SendBits = min(send, limit)
			}
			if c.RecvTakeover && limitable {
				c.RecvBits = min(recv, limit)
			}
			if c.sendMemory()+c.recvMemory() <= budget {
				return
			}
		}
		if c.sendMemory() >= c.recvMemory() {
			c.SendTakeover, c.SendBits = false, send
		} else {
			c.RecvTakeover, c.RecvBits = false, recv
		}
	}
}

// fitSend makes c keep at most budget bytes between messages by limiting the
// sending direction; 0 is no bound. The receiving direction is agreed already, and
// must not keep more than budget alone. This end may always send with a smaller
// window than agreed, or without takeover.
func (c *Deflate) fitSend(budget int) {
	send := c.SendBits
	for budget != 0 && c.sendMemory()+c.recvMemory() > budget {
		if c.SendBits <= minBudgetBits {
			c.SendTakeover, c.SendBits = false, send
			return
		}
		c.SendBits--
	}
}

// deflateParams are the parameters of permessage-deflate in an offer or an answer.
type deflateParams struct {
	serverNoTakeover bool
	clientNoTakeover bool
	serverBits       uint8 // 8 to 15; 0 if not there
	clientBits       uint8 // 8 to 15; 0 if not there, or there without a value
	clientLimitable  bool  // client_max_window_bits is there, with a value or without
}

// parseDeflate checks parameters as section 7.1 requires of both sides: none is
// unknown, repeated, or has "an invalid value".
func parseDeflate(params []param) (p deflateParams, err error) {
	for _, param := range params {
		var twice, valid bool
		switch param.name {
		case serverNoTakeoverName:
			twice, valid = p.serverNoTakeover, param.value == ""
			p.serverNoTakeover = true
		case clientNoTakeoverName:
			twice, valid = p.clientNoTakeover, param.value == ""
			p.clientNoTakeover = true
		case serverMaxWindowBitsName:
			twice = p.serverBits != 0
			p.serverBits, valid = parseWindowBits(param.value)
		case clientMaxWindowBitsName:
			twice, valid = p.clientLimitable, true
			p.clientLimitable = true
			if param.value != "" {
				p.clientBits, valid = parseWindowBits(param.value)
			}
		default:
			return p, fmt.Errorf("%s has no parameter %q", deflateName, quote.Clip(param.name))
		}
		switch {
		case twice:
			return p, fmt.Errorf("%s has parameter %s twice", deflateName, param.name)
		case !valid && param.value == "":
			return p, fmt.Errorf("%s has parameter %s without a value", deflateName, param.name)
		case !valid:
			return p, fmt.Errorf("%s has parameter %s with value %q", deflateName, param.name, quote.Clip(param.value))
		}
	}
	return p, nil
}

// parseWindowBits parses "a decimal integer value without leading zeroes between
// 8 to 15, inclusive" (section 7.1.2).
func parseWindowBits(s string) (bits uint8, ok bool) {
	switch {
	case s == "8" || s == "9":
		return s[0] - '0', true
	case len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5':
		return 10 + s[1] - '0', true
	}
	return 0, false
}

// String writes the extension with its parameters.
func (p deflateParams) String() string {
	s := deflateName
	if p.serverNoTakeover {
		s += "; " + serverNoTakeoverName
	}
	if p.clientNoTakeover {
		s += "; " + clientNoTakeoverName
	}
	if p.serverBits != 0 {
		s += "; " + serverMaxWindowBitsName + "=" + strconv.Itoa(int(p.serverBits))
	}
	if p.clientLimitable {
		s += "; " + clientMaxWindowBitsName
		if p.clientBits != 0 {
			s += "=" + strconv.Itoa(int(p.clientBits))
		}
	}
	return s
}

// answerDeflate: "A server MUST decline an extension negotiation offer" with an
// unknown parameter, an invalid value, or the same parameter twice (section 7.1).
func answerDeflate(w *Wanted, offer []param, a *Agreed) string {
	p, err := parseDeflate(offer)
	if err != nil || !w.Compression {
		return ""
	}
	p, a.Deflate = w.Deflate.answer(p)
	return p.String()
}

// answer accepts an offer.
func (o *Params) answer(offer deflateParams) (answer deflateParams, c Deflate) {
	c = o.deflate()

	// 7.1.1.1: the answer accepts the offer's parameter, and may also have
	// the parameter without being asked.
	c.SendTakeover = !offer.serverNoTakeover && !o.ServerNoContextTakeover
	// 7.1.1.2: so with the client's. In an offer it is only a hint; in the
	// answer it says that the server relies on it.
	c.RecvTakeover = !offer.clientNoTakeover && !o.ClientNoContextTakeover

	// 7.1.2.1: "with the same or smaller value as the offer".
	if offer.serverBits != 0 {
		c.SendBits = min(c.SendBits, offer.serverBits)
	}
	switch {
	case !offer.clientLimitable:
		// 7.1.2.2: the answer "MUST NOT include" client_max_window_bits, so
		// the client's window has 32 KiB. If that is too much, the server asks
		// for no takeover.
		c.RecvTakeover = c.RecvTakeover && c.RecvBits == flate.MaxWindowBits
		c.RecvBits = flate.MaxWindowBits
	case offer.clientBits != 0:
		c.RecvBits = min(c.RecvBits, offer.clientBits)
	}
	c.fit(o.MemoryBudget, offer.clientLimitable)

	answer.serverNoTakeover = !c.SendTakeover
	answer.clientNoTakeover = !c.RecvTakeover
	if offer.serverBits != 0 { // to others it makes no difference
		answer.serverBits = c.SendBits
	}
	// 7.1.2.2: absence "indicates that the server can receive messages
	// compressed using an LZ77 sliding window of up to 32,768 bytes".
	if offer.clientBits != 0 || c.RecvBits < flate.MaxWindowBits {
		answer.clientLimitable = true
		answer.clientBits = c.RecvBits
	}
	return answer, c
}

// keepTo returns the parameters of an answer that was given in the server's name.
// The server may always use less than agreed for its own messages. The client's
// messages may use all that the answer allows.
func (o *Params) keepTo(answer deflateParams) (Deflate, error) {
	c := o.deflate()
	c.SendTakeover = !answer.serverNoTakeover && !o.ServerNoContextTakeover
	c.RecvTakeover = !answer.clientNoTakeover
	if answer.serverBits != 0 {
		c.SendBits = min(c.SendBits, answer.serverBits)
	}
	allowed := 1 << c.RecvBits
	if o.MemoryBudget != 0 {
		allowed = min(allowed, o.MemoryBudget)
	}
	c.RecvBits = flate.MaxWindowBits
	if answer.clientBits != 0 {
		c.RecvBits = answer.clientBits
	}
	if kept := c.recvMemory(); kept > allowed {
		return Deflate{}, fmt.Errorf("the client's messages keep %d bytes, and CompressionOptions allows %d: answer %s, or a smaller %s",
			kept, allowed, clientNoTakeoverName, clientMaxWindowBitsName)
	}
	c.fitSend(o.MemoryBudget)
	return c, nil
}
