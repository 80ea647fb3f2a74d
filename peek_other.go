//go:build !unix

package websocket

import "syscall"

func readable(syscall.RawConn) bool { return false }
