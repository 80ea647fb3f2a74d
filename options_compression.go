package websocket

import (
	"fmt"

	"github.com/fullduplex-go/websocket/internal/flate"
)

// CompressionOptions are the settings of permessage-deflate (RFC 7692), with which
// both sides compress the messages that they send. Both must want it; the handshake
// negotiates the parameters. The zero value compresses well, and takes memory for
// it.
//
// A connection may keep, for each direction, the latest bytes of its messages: the
// window. A message can then refer to earlier ones ("context takeover"), and small
// messages that resemble each other shrink to a fraction. That takes one window in
// memory for the direction in which the connection receives, and about two for the
// direction in which it sends: 89 KiB with the zero value. From level 7 the latter
// are more than four, 169 KiB in all. The windows grow to that with the messages.
// WindowBits, the two NoContextTakeover fields and MemoryBudget reduce it. A direction without takeover keeps nothing between
// messages.
//
// Do not compress a secret together with text that somebody else may choose: an
// observer of the messages' sizes can then guess the secret bit by bit, and
// encryption does not hide sizes (the attacks named CRIME and BREACH). With
// takeover, messages that are near each other count as together. A connection that
// carries secrets as well as others' text should not be compressed.
type CompressionOptions struct {
	// Level is how hard the connection tries to make messages small: from 1,
	// the fastest, to 9, the smallest. Zero means 4. The peer chooses its own.
	//
	// For JSON messages of 1 KiB that refer to earlier ones, the sizes are beside those of
	// zlib as follows. The time is that of the sender, 1 for zlib's level 6:
	//
	//	Level   messages are as small as at zlib's level   time
	//	1       1                                          0.2
	//	2 to 4  2 to 3                                     0.4
	//	5, 6    4 to 5                                     0.5, 0.6
	//	7       5 to 6                                     0.6
	//	8       7                                          1
	//	9       9                                          2
	//
	// Messages that refer to none before are smaller than that by one or two levels of
	// zlib. From level 7 the connection takes more memory.
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
	// A peer that cannot be limited may use a larger window if its messages do not
	// refer to earlier ones, so that no window is kept. A server can only limit clients
	// that have offered to be limited, as browsers do; it requires other clients to
	// send such messages. A client asks the server for a window or, if the server does
	// not support windows, for such messages. Dial fails if the server uses compression
	// without granting either.
	WindowBits int

	// ServerNoContextTakeover and ClientNoContextTakeover are for messages that do not
	// refer to earlier ones: those that the server sends, and those that the client
	// sends. Either side can ask for either, which saves the memory of both sides. Some
	// servers do not grant ServerNoContextTakeover to a client; Dial then fails only if
	// that is beyond WindowBits or MemoryBudget.
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool

	// MemoryBudget is how many bytes, at most, the connection may keep between messages
	// for its compression, both directions together. Where that is less than the other
	// fields lead to, the handshake negotiates smaller windows, down to 512 bytes, and
	// where that is not enough, no takeover. Dial fails if the server does not accept
	// that, and the error says how much memory it would take. MemoryBudget does not
	// bound the memory in use while a message is being compressed or decompressed. Zero
	// means no bound.
	MemoryBudget int
}

// check refuses values that have no meaning. Nil is valid.
func (o *CompressionOptions) check() error {
	switch {
	case o == nil:
	case o.Level < 0 || o.Level > 9:
		return fmt.Errorf("websocket: CompressionOptions.Level is %d, want 1 to 9, or 0", o.Level)
	case o.WindowBits != 0 && (o.WindowBits < flate.MinWindowBits || o.WindowBits > flate.MaxWindowBits):
		return fmt.Errorf("websocket: CompressionOptions.WindowBits is %d, want %d to %d, or 0", o.WindowBits, flate.MinWindowBits, flate.MaxWindowBits)
	case o.MemoryBudget < 0:
		return fmt.Errorf("websocket: CompressionOptions.MemoryBudget is %d, want bytes, or 0", o.MemoryBudget)
	}
	return nil
}
