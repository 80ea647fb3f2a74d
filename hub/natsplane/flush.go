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
	trip func() error // makes one

	mu   sync.Mutex
	away bool       // a round trip is under way
	next *roundTrip // the one that begins after it, or nil
}

type roundTrip struct {
	done chan struct{} // closed when it is over
	err  error
}

// flush waits for a round trip that begins after the call.
func (f *flusher) flush() error {
	f.mu.Lock()
	r := f.next
	if r == nil {
		r = &roundTrip{done: make(chan struct{})}
		f.next = r
	}
	if !f.away {
		f.away = true
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
		r := f.next
		f.next = nil
		f.away = r != nil
		f.mu.Unlock()
		if r == nil {
			return
		}
		r.err = f.trip()
		close(r.done)
	}
}

// confirm waits until the broker knows of the subscriptions made so far, unless
// there is no connection: then nats.go tells the next broker of them.
func (p *Plane) confirm() {
	if !p.nc.IsConnected() {
		return
	}
	err := p.flusher.flush()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) { // the error when the connection is lost
		p.log.Warn("natsplane: the broker does not confirm subscriptions", "error", err)
	}
}
