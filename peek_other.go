//go:build !unix

package websocket

import "syscall"

func readable(syscall.RawConn) bool { return false }

const canPoll = false

func writable(syscall.RawConn) bool { return true }
