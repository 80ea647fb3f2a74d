package extension

import (
	"fmt"
	"strings"

	"github.com/fullduplex-go/websocket/internal/flate"
)

// deflateOffer is the client's side of the negotiation of permessage-deflate: its
// offers, and the options that an answer must keep to.
type deflateOffer struct {
	opts   *Params
	own    Deflate         // parameters by the first offer; the sending half is always kept to
	offers []deflateParams // the preferred one first; all include that sending half
}

// newDeflateOffer makes the offers for o.
//
// The first offer asks for what suits o best. Many servers do not know
// server_max_window_bits, and some do not know server_no_context_takeover.
// "A server MUST decline an extension negotiation offer" that it cannot accept
// (RFC 7692, section 7.1), so plainer offers follow, each of which still
// holds o.
func newDeflateOffer(o *Params) *deflateOffer {
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
	f := &deflateOffer{opts: o, own: c, offers: []deflateParams{first}}

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

func offerDeflate(w *Wanted) string {
	if !w.Compression {
		return ""
	}
	return newDeflateOffer(&w.Deflate).String()
}

// String writes the offers as Sec-WebSocket-Extensions has them.
func (f *deflateOffer) String() string {
	list := make([]string, len(f.offers))
	for i, p := range f.offers {
		list[i] = p.String()
	}
	return strings.Join(list, ", ")
}

func acceptedDeflate(w *Wanted, answer []param, client bool, a *Agreed) error {
	p, err := parseDeflate(answer)
	switch {
	case err != nil:
		return &Error{"RFC 7692, section 7.1", fmt.Errorf("server's %w", err)}
	case p.clientLimitable && p.clientBits == 0:
		return &Error{"RFC 7692, section 7.1.2.2", fmt.Errorf("server answers %s without a value", clientMaxWindowBitsName)}
	case client:
		a.Deflate, err = newDeflateOffer(&w.Deflate).accept(p)
	default:
		a.Deflate, err = w.Deflate.keepTo(p)
	}
	return err
}

// accept returns the parameters of an answer.
func (f *deflateOffer) accept(answer deflateParams) (Deflate, error) {
	if err := f.holds(answer); err != nil {
		return Deflate{}, err
	}
	return f.settle(answer), nil
}

// holds returns nil if an answer keeps to the options. The answer need not match an
// offer exactly: servers leave out parameters that they do not know and give larger
// windows than they were asked for. That matters only if it takes more memory than
// the options allow. The parameters of our own messages never do, since we may
// always use less.
//
// ServerNoContextTakeover is only a wish: if the server does not grant it, the answer
// must still keep to WindowBits and MemoryBudget.
func (f *deflateOffer) holds(answer deflateParams) error {
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
func (f *deflateOffer) settle(answer deflateParams) Deflate {
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
