package natsplane

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// flushTimeout is how long a Subscribe waits for the broker's confirmation.
const flushTimeout = 2 * time.Second

// flusher waits until the broker has received everything sent so far. Calls that
// wait at the same time share a round trip.
type flusher struct {
	flushOnce func() error // makes one round trip

	mu      sync.Mutex
	running bool       // a round trip is under way
	pending *roundTrip // the one that begins after it, or nil
}

type roundTrip struct {
	done chan struct{} // closed when it is over
	err  error
}

// flush waits for a round trip that begins after the call.
func (f *flusher) flush() error {
	f.mu.Lock()
	r := f.pending
	if r == nil {
		r = &roundTrip{done: make(chan struct{})}
		f.pending = r
	}
	if !f.running {
		f.running = true
		go f.run()
	}
	f.mu.Unlock()
	<-r.done
	return r.err
}

// run makes round trips while calls wait for one.
func (f *flusher) run() {
	for {
		f.mu.Lock()
		r := f.pending
		f.pending = nil
		f.running = r != nil
		f.mu.Unlock()
		if r == nil {
			return
		}
		r.err = f.flushOnce()
		close(r.done)
	}
}

// confirmSubscriptions waits until the broker knows of the subscriptions made so far, unless
// there is no connection: then nats.go tells the next broker of them.
func (p *Plane) confirmSubscriptions() {
	if !p.nc.IsConnected() {
		return
	}
	err := p.flusher.flush()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) { // the error when the connection is lost
		p.log.Warn("natsplane: the broker does not confirm subscriptions", "error", err)
	}
}
