//go:build plan9 || js

package main

import (
	"os"
	"syscall"
)

// endSignals end the program in an orderly way.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// ignoreBrokenPipe does nothing: there is no such signal.
func ignoreBrokenPipe() {}
