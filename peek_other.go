//go:build (!unix && !windows) || ws_plain

package websocket

import "syscall"

func observeSocket(syscall.RawConn, *activity) {}
