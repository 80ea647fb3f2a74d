//go:build !linux || ws_plain

package transport

import "syscall"

// roomy reports whether the socket takes MaxRoom bytes when it is writable.
func roomy(syscall.RawConn) bool { return true }
