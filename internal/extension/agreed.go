package extension

import (
	"fmt"

	"github.com/fullduplex-go/websocket/internal/flate"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// Agreed returns the parameters of an answer that was given already, on the end of
// the client or of the server. The answer is the value of Sec-WebSocket-Extensions
// in a response. An answer that does not fit o is an error; with a nil o any but the
// empty one is.
func Agreed(answer string, o *Params, client bool) (d Deflate, err error) {
	list, err := parse([]string{answer})
	switch {
	case err != nil:
		return d, err
	case len(list) == 0:
		return d, nil
	case list[0].name != deflateName:
		return d, fmt.Errorf("extension %q is not known", quote.Clip(list[0].String()))
	case len(list) > 1:
		return d, fmt.Errorf("there are %d extensions, want %s once", len(list), deflateName)
	case o == nil:
		return d, fmt.Errorf("%s is there, and Options.Compression is nil", deflateName)
	}
	if client {
		return NewOffer(o).Accept([]string{answer})
	}
	p, err := parseDeflate(list[0].params)
	if err != nil {
		return d, &Error{"RFC 7692, section 7.1", err}
	}
	if p.clientLimitable && p.clientBits == 0 {
		return d, &Error{"RFC 7692, section 7.1.2.2", fmt.Errorf("%s has no value, and is not an offer", clientMaxWindowBitsName)}
	}
	return o.keepTo(p)
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
