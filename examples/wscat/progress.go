package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows a progress bar on a terminal. On anything else it shows nothing.
type progress struct {
	w  io.Writer
	on bool
}

func newProgress(w io.Writer) *progress { return &progress{w, isCharDevice(w)} }

const progressWidth = 40

// run shows the result of part, from 0 to 1, until stop is called. stop removes the
// bar.
func (p *progress) run(what string, part func() float64) (stop func()) {
	if !p.on {
		return func() {}
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			io.WriteString(p.w, bar(what, part()))
			select {
			case <-tick.C:
			case <-done:
				io.WriteString(p.w, "\r\x1b[K")
				return
			}
		}
	})
	return func() {
		close(done)
		group.Wait()
	}
}

// bar draws the bar in the place of the line that was there before.
func bar(what string, part float64) string {
	part = min(1, max(0, part))
	full := int(part * progressWidth)
	return fmt.Sprintf("\r\x1b[K%s %s%s %3.0f %%", what, strings.Repeat("█", full), strings.Repeat("░", progressWidth-full), 100*part)
}
