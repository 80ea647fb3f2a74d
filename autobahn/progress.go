package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows how far a side is: on a terminal in one line that is always
// up to date, elsewhere in a line now and then.
type progress struct {
	out      io.Writer
	side     string
	total    int
	terminal bool
	start    time.Time

	mu      sync.Mutex
	done    int      // cases that have ended
	running []string // by shard; "" when it does nothing

	quit, stopped chan struct{}
}

func startProgress(out io.Writer, side string, total int) *progress {
	p := &progress{
		out: out, side: side, total: total, start: time.Now(),
		quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	every := 3 * time.Second
	if f, isFile := out.(*os.File); isFile {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.terminal, every = true, 200*time.Millisecond
		}
	}
	fmt.Fprintf(out, "\n%s: %d cases\n", side, total)
	go func() {
		defer close(p.stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show()
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// shard returns the function that a shard calls with each case that begins, and with
// "" at its end. A call also ends the case of the call before.
func (p *progress) shard() func(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := len(p.running)
	p.running = append(p.running, "")
	return func(id string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.running[i] != "" {
			p.done++
		}
		p.running[i] = id
	}
}

func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now []string
	for _, id := range p.running {
		if id != "" {
			now = append(now, id)
		}
	}
	what := "starting"
	if len(now) > 0 {
		what = "now at " + strings.Join(now, " ")
	} else if p.done > 0 {
		what = "finishing"
	}
	return fmt.Sprintf("%s: %d of %d cases, %v, %s", p.side, p.done, p.total, time.Since(p.start).Round(time.Second), what)
}

func (p *progress) show() {
	if p.terminal {
		line := p.line()
		if len(line) > 79 {
			line = line[:79] // or it would wrap, and not be overwritten
		}
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(p.out, p.line())
	}
}

// stop ends the display and returns when nothing more is written.
func (p *progress) stop() {
	close(p.quit)
	<-p.stopped
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
