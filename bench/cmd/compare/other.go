//go:build !linux

// Command compare measures WebSocket servers of Go side by side, on Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: this needs Linux: it pins processes to CPUs, reads their CPU clocks and drives them by epoll")
	os.Exit(1)
}
