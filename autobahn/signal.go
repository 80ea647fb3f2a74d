//go:build !plan9 && !js

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// endSignals end the program in an orderly way.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// ignoreBrokenPipe has writes to a closed pipe fail, instead of ending the program:
// a reader that has seen enough is no reason to leave things lying about.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
