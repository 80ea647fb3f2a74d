//go:build !linux || ws_unix || ws_plain

package transport

import "syscall"

// roomy reports whether the socket takes n bytes in TLS, at most MaxRoom, when it is
// writable. Where poll says that it is from 2 KiB of room on (SO_SNDLOWAT), a longer
// write might wait.
func roomy(_ syscall.RawConn, n int) bool { return n <= 1<<10 }
