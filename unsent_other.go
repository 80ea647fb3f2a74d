//go:build !linux || ws_unix || ws_plain

package websocket

import (
	"errors"
	"net"
)

// limitUnsent sets the send buffer. TCP_NOTSENT_LOWAT, which Darwin has too, says
// there when a socket counts as writable, and not what a write may take.
func limitUnsent(nc net.Conn, n int) error {
	if s, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
		return s.SetWriteBuffer(n)
	}
	return errors.ErrUnsupported
}
