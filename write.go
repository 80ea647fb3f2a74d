package websocket

import (
	"context"
	"fmt"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/utf8"
)

// Write sends p as one message in one frame, and does not keep p. Any number of
// goroutines may call it; messages that would have to wait for each other leave
// together.
//
// Write returns when the transport has taken the message. It returns earlier while
// the peer has sent more than was read so far. Then the message is held, so that
// the answers to a batch of messages leave together, and a later call returns the
// error. Up to 64 KiB of messages are held; they leave at once when the reader has
// nothing left to do, whatever else the caller does.
//
// When ctx ends before a byte was written, Write returns its error and the
// connection goes on. When it ends with a part of the frame on the wire the
// connection is closed, since nothing else could follow; with TLS that is
// assumed. A message that is leaving together with another's is finished, and
// so is a frame under way on a connection that is closing already, within
// [Options.CloseTimeout], so that the close frame can follow it.
//
// A text that is not UTF-8 is refused, because the peer would have to fail
// the connection (section 8.1). On the client the masked copy takes as much
// memory as p for the duration of the call; [Conn.Writer] takes less.
func (c *Conn) Write(ctx context.Context, typ MessageType, p []byte) error {
	return c.writeMessage(ctx, &outFrame{op: Opcode(typ), fin: true, p: p})
}

// WriteUncompressed is Write for a message that is not to be compressed, on a
// connection that has compression: because it is compressed already, as images and
// archives are, or because it holds a secret beside text that others may choose
// (see [CompressionOptions]).
func (c *Conn) WriteUncompressed(ctx context.Context, typ MessageType, p []byte) error {
	return c.writeMessage(ctx, &outFrame{op: Opcode(typ), fin: true, p: p, plain: true})
}

// writeMessage writes f, a whole message.
func (c *Conn) writeMessage(ctx context.Context, f *outFrame) error {
	if err := checkContent(ctx, MessageType(f.op), f.p); err != nil {
		return err
	}
	if c.extensions() == nil { // two calls less in the most common case
		return c.writeFrame(ctx, nil, f)
	}
	z := c.encodeEarly(f, nil)
	err := c.writeFrame(ctx, nil, f)
	buffer.Put(z)
	return err
}

// Buffered returns how many bytes wait to be taken by the transport: those being
// written, and those queued behind them. It is 0 when the peer keeps up. Bytes that
// the kernel has taken do not count; they may be megabytes, unless the listener or
// dialer sets a smaller write buffer.
func (c *Conn) Buffered() int {
	o := &c.out
	o.lock()
	defer o.unlock()
	return c.bufferedLocked()
}

func checkMessage(ctx context.Context, typ MessageType) error {
	if ctx == nil {
		return errNilContext
	}
	if typ != Text && typ != Binary {
		return fmt.Errorf("websocket: message type %d is neither Text nor Binary", uint8(typ))
	}
	return nil
}

// checkContent is checkMessage for a message of which p is all.
func checkContent(ctx context.Context, typ MessageType, p []byte) error {
	if err := checkMessage(ctx, typ); err != nil {
		return err
	}
	if typ == Text && !utf8.Valid(p) {
		return errInvalidText
	}
	return nil
}
