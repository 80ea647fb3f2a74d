//go:build !linux

// Command polling measures what the same updates cost by polling, long polling,
// server-sent events and WebSocket, on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "polling: this needs Linux: it pins processes to CPUs, reads their CPU clocks and counts packets")
	os.Exit(1)
}
