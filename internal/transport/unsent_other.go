//go:build !linux || ws_unix || ws_plain

package transport

import (
	"errors"
	"net"
	"runtime"
)

// limitUnsent sets the size of the send buffer. TCP_NOTSENT_LOWAT, which Darwin has
// too, only says there when a socket counts as writable, not how much a write may
// take.
func limitUnsent(nc net.Conn, n int) error {
	if runtime.GOOS == "linux" {
		n /= 2 // it doubles that for its overhead, which long writes have little of
	}
	if s, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
		return s.SetWriteBuffer(n)
	}
	return errors.ErrUnsupported
}
