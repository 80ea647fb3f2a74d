//go:build (!unix && !windows) || ws_plain

package transport

import "syscall"

func observeSocket(syscall.RawConn) State { return State{} }
