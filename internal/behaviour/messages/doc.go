// Package messages tests reads, writes and the closing handshake through the public API
// only, over all transports, with reads by calls and by a loop.
package messages
