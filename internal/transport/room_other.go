//go:build (!unix && !windows) || ws_plain

package transport

import "syscall"

const canPoll = false

func readable(syscall.RawConn) bool { return true }
func writable(syscall.RawConn) bool { return true }
