// Package flate is the raw DEFLATE codec (RFC 1951) of permessage-deflate
// (RFC 7692): messages in memory, windows of any size that can be negotiated,
// state in proportion to the window, and no state between messages without
// takeover.
package flate

import "errors"

// MinWindowBits and MaxWindowBits bound the base-2 logarithm of a window's
// size (RFC 7692, section 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Before a message, an Encoder or a Decoder with takeover reads its memory in order,
// if that is likely to have left the processor's caches.
const (
	preloadBytes = 256 // size of a message to be compressed that is worth it
	preloadInput = 128 // size of a message to be inflated that is worth it
	preloadAfter = 8   // messages of others in between that are enough
	cacheLine    = 64  // bytes
)

// ErrCorrupt is wrapped by every error of a Decoder.
var ErrCorrupt = errors.New("corrupt DEFLATE data")

// Lengths and distances of RFC 1951, section 3.2.5.
const (
	minMatch    = 3
	maxMatch    = 258
	endOfBlock  = 256
	numLitLen   = 286 // symbols that may occur; the fixed code has 288
	numDist     = 30
	numCodeLen  = 19
	maxCodeBits = 15
)

var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [numDist]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra   = [numDist]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}

	// codeLenOrder is the order in which the lengths of the code length code
	// are sent (section 3.2.7).
	codeLenOrder = [numCodeLen]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)
