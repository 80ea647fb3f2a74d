package websocket

import (
	"fmt"

	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/flate"
)

// Defaults of [CompressionOptions].
const (
	defaultCompressionLevel     = flate.DefaultLevel
	defaultCompressionThreshold = 128
)

// Window sizes that can be negotiated, as base-2 logarithms (RFC 7692,
// section 7.1.2). Where nothing is said about a window it has the largest.
const (
	minWindowBits = flate.MinWindowBits
	maxWindowBits = flate.MaxWindowBits
)

// CompressionOptions are the settings of permessage-deflate (RFC 7692), by
// which the two sides compress the messages that they send. Both must want it;
// the handshake settles how. The zero value compresses well, and takes memory
// for it.
//
// A connection may keep, for each direction, what was said lately: the window.
// A message can then refer to those before it ("context takeover"), and small
// messages that resemble each other shrink to a fraction. It costs the window
// of the direction in which the connection receives, and about two windows of
// the one in which it sends: 89 KiB with the zero value. From level 7 the
// latter are more than four, and it is 169 KiB. WindowBits, the two
// NoContextTakeover fields and MemoryBudget bring
// that down. A direction without takeover keeps nothing between messages.
//
// Do not compress a secret together with text that somebody else may choose:
// who sees the sizes of the messages can then guess the secret bit by bit, and
// encryption does not hide sizes (the attacks named CRIME and BREACH). With
// takeover, messages that are near each other count as together. A connection
// that carries secrets as well as others' text should not be compressed.
type CompressionOptions struct {
	// Level is how hard the connection tries to make messages small: from 1,
	// the fastest, to 9, the smallest. Zero means 4. The peer chooses its own.
	Level int

	// Threshold is the size in bytes below which a message is sent as it
	// is, since small ones gain little. Zero means 128, a negative value
	// compresses them all.
	Threshold int

	// WindowBits is the base-2 logarithm of the largest window, in bytes,
	// that either side uses: from 8, which is 256 bytes, to 15, which is
	// 32 KiB. Zero means 15. Each step less halves the memory and makes
	// messages a little larger.
	//
	// A peer that cannot be limited may use a larger window if its messages
	// do not refer to earlier ones, so that nothing of it is kept. A server
	// can only limit clients that have said so, as browsers do; of others it
	// wants such messages. A client asks the server for a window or, if it
	// does not know of windows, for such messages. Dial fails if the server
	// uses compression without granting either.
	WindowBits int

	// ServerNoContextTakeover and ClientNoContextTakeover are for messages
	// that do not refer to earlier ones: those that the server sends, and
	// those that the client sends. Either side can ask for either, and
	// spares both sides the memory. There are servers that do not grant a
	// client ServerNoContextTakeover; Dial fails then only if that is beyond
	// WindowBits or MemoryBudget.
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool

	// MemoryBudget is how many bytes, at most, the connection may keep
	// between messages for its compression, both directions together. Where
	// that is less than the other fields lead to, the handshake settles on
	// smaller windows, down to 512 bytes, and where that is not enough on no
	// takeover. Dial fails if the server does not keep to that, and says how
	// much it would take. It does not bound what is in use while a message is being
	// compressed or decompressed. Zero means no bound.
	MemoryBudget int
}

// check refuses what has no meaning. Nil is fine.
func (o *CompressionOptions) check() error {
	switch {
	case o == nil:
	case o.Level < 0 || o.Level > 9:
		return fmt.Errorf("websocket: CompressionOptions.Level is %d, want 1 to 9, or 0", o.Level)
	case o.WindowBits != 0 && (o.WindowBits < minWindowBits || o.WindowBits > maxWindowBits):
		return fmt.Errorf("websocket: CompressionOptions.WindowBits is %d, want %d to %d, or 0", o.WindowBits, minWindowBits, maxWindowBits)
	case o.MemoryBudget < 0:
		return fmt.Errorf("websocket: CompressionOptions.MemoryBudget is %d, want bytes, or 0", o.MemoryBudget)
	}
	return nil
}

// params returns what the handshake negotiates by; nil for nil.
func (o *CompressionOptions) params() *extension.Params {
	if o == nil {
		return nil
	}
	return &extension.Params{
		Level:                   o.Level,
		WindowBits:              o.WindowBits,
		ServerNoContextTakeover: o.ServerNoContextTakeover,
		ClientNoContextTakeover: o.ClientNoContextTakeover,
		MemoryBudget:            o.MemoryBudget,
	}
}

// compression is what the handshake has negotiated, seen from this end.
type compression struct {
	level, threshold           int
	sendBits, recvBits         uint8 // windows of what we send and of what we receive
	sendTakeover, recvTakeover bool  // whether messages refer to earlier ones
}

// compression returns what o and the handshake have led to; nil for none.
func (o *CompressionOptions) compression(d extension.Deflate) *compression {
	if d == (extension.Deflate{}) {
		return nil
	}
	c := &compression{
		level:        o.Level,
		threshold:    max(o.Threshold, 0),
		sendBits:     d.SendBits,
		recvBits:     d.RecvBits,
		sendTakeover: d.SendTakeover,
		recvTakeover: d.RecvTakeover,
	}
	if o.Level == 0 {
		c.level = defaultCompressionLevel
	}
	if o.Threshold == 0 {
		c.threshold = defaultCompressionThreshold
	}
	return c
}
