//go:build !unix

package websocket

import "syscall"

const canPoll = false

func readable(syscall.RawConn) bool { return true }
func writable(syscall.RawConn) bool { return true }
