package websocket

import (
	"context"
	"net"
	stdutf8 "unicode/utf8"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/utf8"
)

const (
	// streamMessage is the largest message of a stream: the size of io.Copy's writes.
	streamMessage = 32 << 10
	// batchMessage is the largest size of each of two messages that leave together.
	// Both with their headers, masking keys included, fill maxPending.
	batchMessage = maxPending/2 - 8
)

func (n *netConn) Write(p []byte) (int, error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	ctx, err := n.calls.begin(forWrites)
	if err != nil {
		return 0, n.opError("write", err)
	}
	defer n.calls.end()
	if err := ctx.Err(); err != nil {
		return 0, n.callError("write", ctx, err)
	}
	if n.typ == Text && !utf8.Valid(p) {
		return 0, errInvalidText
	}
	total := 0
	for total < len(p) {
		if n.half.Load() {
			return total, n.opError("write", net.ErrClosed)
		}
		m, err := n.c.writeSome(ctx, n.typ, p[total:])
		total += m
		if err != nil {
			return total, n.callError("write", ctx, err)
		}
	}
	return total, nil
}

// writeSome sends the beginning of p, which is not empty, in one message or in
// several that leave together. It returns how many bytes of p have left in whole
// messages. A text must be UTF-8.
//
// Compressed messages leave one by one, since the system call costs little beside
// the compression; so do messages that a hook observes.
func (c *Conn) writeSome(ctx context.Context, typ MessageType, p []byte) (int, error) {
	if len(p) <= streamMessage || c.negotiated().deflate != nil || c.opts.Trace != nil || checkMessage(ctx, typ) != nil {
		p = cutText(typ, p, streamMessage)
		if err := c.Write(ctx, typ, p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	var h Header
	first := cutText(typ, p, batchMessage)
	second := cutText(typ, p[len(first):], batchMessage)
	b := buffer.Get(maxPending)
	defer buffer.Put(b)
	c.out.sender.frame(&h, Opcode(typ), true, 0, len(first))
	b.B = h.appendFrame(b.B, first)
	border := len(b.B)
	c.out.sender.frame(&h, Opcode(typ), true, 0, len(second))
	b.B = h.appendFrame(b.B, second)

	f := outFrame{op: Opcode(typ), fin: true, wire: true, p: b.B}
	err := c.writeFrame(ctx, nil, &f)
	switch {
	case err == nil:
		c.countMessage()
		return len(first) + len(second), nil
	case int(f.sent) >= border:
		c.countMessage()
		return len(first), err
	}
	return 0, err
}

// countMessage counts one of two messages that left together. writeFrame counts the
// other, if there was no error.
func (c *Conn) countMessage() {
	c.out.lock()
	c.out.write.add()
	c.out.unlock()
}

// cutText returns the beginning of p, at most max bytes. If typ is Text, it ends at
// the end of a character.
func cutText(typ MessageType, p []byte, max int) []byte {
	if len(p) <= max {
		return p
	}
	if typ == Text {
		for !stdutf8.RuneStart(p[max]) {
			max--
		}
	}
	return p[:max]
}
