package extension

import (
	"fmt"
	"strings"

	"github.com/fullduplex-go/websocket/internal/flate"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// Offer is the client's side of the negotiation of permessage-deflate: its offers,
// and the options that an answer must keep to. A nil Offer offers nothing.
type Offer struct {
	opts   Params
	own    Deflate         // parameters by the first offer; the sending half is always kept to
	offers []deflateParams // the preferred one first; all include that sending half
}

// NewOffer makes the offers for o; nil for nil.
//
// The first offer asks for what suits o best. Many servers do not know
// server_max_window_bits, and some do not know server_no_context_takeover.
// "A server MUST decline an extension negotiation offer" that it cannot accept
// (RFC 7692, section 7.1), so plainer offers follow, each of which still
// holds o.
func NewOffer(o *Params) *Offer {
	if o == nil {
		return nil
	}
	c := o.deflate()
	c.SendTakeover = !o.ClientNoContextTakeover
	c.RecvTakeover = !o.ServerNoContextTakeover
	c.fit(o.MemoryBudget, true)
	first := deflateParams{
		serverNoTakeover: !c.RecvTakeover,
		clientNoTakeover: !c.SendTakeover,
		clientLimitable:  true, // lets the server limit us
	}
	if c.RecvBits < flate.MaxWindowBits {
		first.serverBits = c.RecvBits
	}
	if c.SendBits < flate.MaxWindowBits {
		first.clientBits = c.SendBits
	}
	f := &Offer{opts: *o, own: c, offers: []deflateParams{first}}

	// Without takeover the window is not kept, so its size does not matter.
	if first.serverBits != 0 {
		f.offers = append(f.offers, deflateParams{
			serverNoTakeover: true,
			clientNoTakeover: first.clientNoTakeover,
			clientLimitable:  true,
		})
	}
	plain := deflateParams{clientNoTakeover: first.clientNoTakeover, clientLimitable: true}
	if (first.serverNoTakeover || first.serverBits != 0) && f.holds(plain) == nil {
		f.offers = append(f.offers, plain)
	}
	return f
}

// String writes the offers as Sec-WebSocket-Extensions has them.
func (f *Offer) String() string {
	list := make([]string, len(f.offers))
	for i, p := range f.offers {
		list[i] = p.String()
	}
	return strings.Join(list, ", ")
}

// Accept checks the Sec-WebSocket-Extensions header of a server's answer, given as
// its lines, and returns the negotiated parameters. The server may accept nothing;
// otherwise there must be one extension, the one offered. If the answer breaks a rule
// of the extension or of the header, the error is an [*Error].
func (f *Offer) Accept(lines []string) (d Deflate, err error) {
	answer, err := parse(lines)
	if err != nil {
		return d, err
	}
	for i, e := range answer {
		switch {
		case f == nil || e.name != deflateName:
			return d, fmt.Errorf("server uses extension %q, which was not offered", quote.Clip(e.String()))
		case i > 0:
			return d, fmt.Errorf("server uses %s %d times, want once", deflateName, len(answer))
		}
	}
	if len(answer) == 0 {
		return d, nil
	}
	p, err := parseDeflate(answer[0].params)
	if err != nil {
		return d, &Error{"RFC 7692, section 7.1", fmt.Errorf("server's %w", err)}
	}
	if p.clientLimitable && p.clientBits == 0 {
		return d, &Error{"RFC 7692, section 7.1.2.2", fmt.Errorf("server answers %s without a value", clientMaxWindowBitsName)}
	}
	if err := f.holds(p); err != nil {
		return d, err
	}
	return f.settle(p), nil
}

// holds returns nil if an answer keeps to the options. The answer need not match an
// offer exactly: servers leave out parameters that they do not know and give larger
// windows than they were asked for. That matters only if it takes more memory than
// the options allow. The parameters of our own messages never do, since we may
// always use less.
//
// ServerNoContextTakeover is only a wish: if the server does not grant it, the answer
// must still keep to WindowBits and MemoryBudget.
func (f *Offer) holds(answer deflateParams) error {
	if answer.serverNoTakeover {
		return nil // nothing is kept
	}
	bits := answer.serverWindow()
	kept, allowed := 1<<bits, 1<<f.opts.windowBits()
	var set []string
	if kept > allowed {
		set = append(set, fmt.Sprintf("WindowBits to %d", bits))
	}
	if budget := f.opts.MemoryBudget; budget != 0 && kept > budget {
		allowed = min(allowed, budget)
		set = append(set, fmt.Sprintf("MemoryBudget to %d or more", kept))
	}
	if set == nil {
		return nil
	}
	fault := fmt.Sprintf("answers %s=%d and leaves out %s", serverMaxWindowBitsName, bits, serverNoTakeoverName)
	if answer.serverBits == 0 {
		fault = fmt.Sprintf("leaves out %s and %s", serverMaxWindowBitsName, serverNoTakeoverName)
	}
	return &Error{"RFC 7692, section 7.1.2.1", fmt.Errorf(
		"server %s, so that %d bytes would be kept between messages, and CompressionOptions allows %d; set %s, or turn Compression off",
		fault, kept, allowed, strings.Join(set, " and "))}
}

// settle returns the parameters of an answer that holds has accepted.
func (f *Offer) settle(answer deflateParams) Deflate {
	c := f.own
	c.RecvBits, c.RecvTakeover = answer.serverWindow(), !answer.serverNoTakeover
	// 7.1.1.2 and 7.1.2.2: both may come unasked, and bind the client. If they
	// were offered and left out, the client keeps to its offer all the same.
	c.SendTakeover = c.SendTakeover && !answer.clientNoTakeover
	if answer.clientBits != 0 {
		c.SendBits = min(c.SendBits, answer.clientBits)
	}
	c.fitSend(f.opts.MemoryBudget)
	return c
}

// serverWindow returns the window of the server's messages, which has 32 KiB if the
// parameters do not say.
func (p deflateParams) serverWindow() uint8 {
	if p.serverBits == 0 {
		return flate.MaxWindowBits
	}
	return p.serverBits
}
