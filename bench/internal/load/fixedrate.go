//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A FixedRate job sends messages at fixed times, whether or not earlier ones have been
// answered: an open loop. A round trip counts from the moment at which its message was
// due, so that it includes the time that a message waited because server or generator
// were late. (A closed loop sends less while the server is slow, and does not see how
// slow it is: coordinated omission.)

// share is the part of the capacity that a FixedRate job without a rate asks for.
const share = 0.5

// schedule is the state of a FixedRate job under load.
type schedule struct {
	*runner
	size     int64 // of a reply
	interval time.Duration
	next     time.Duration // when the next message is due
	turn     int           // the connection that sends it
	due      []dueTimes    // of each connection
	waiting  int           // messages without a reply
	replies  float64
	measured *measurement
}

// dueTimes is a queue of the times at which the messages without a reply were due.
type dueTimes struct {
	at    []time.Duration
	first int
}

func (d *dueTimes) push(at time.Duration) { d.at = append(d.at, at) }

func (d *dueTimes) pop() (at time.Duration, ok bool) {
	if d.first == len(d.at) {
		return 0, false
	}
	at = d.at[d.first]
	if d.first++; d.first == len(d.at) {
		d.at, d.first = d.at[:0], 0
	}
	return at, true
}

// fixedRate measures the capacity with one message in flight per connection, unless
// the job has a rate, and then the round trips.
func (r *runner) fixedRate() error {
	if r.Compress != "" || r.TLS {
		return errors.New("load: a fixed rate is in the clear and without compression")
	}
	r.Depth = 1
	if err := r.open(r.Conns); err != nil {
		return err
	}
	r.script = plainScript(r.Size, 1)
	format, err := r.verify(1)
	if err != nil {
		return fmt.Errorf("before the measurement: %w", err)
	}
	if !format.single {
		return errors.New("load: at a fixed rate every reply is one frame")
	}
	rate := r.Rate
	var capacity float64
	if rate == 0 {
		e := &echoLoad{runner: r, reply: format, goal: int64(format.size), flags: unix.MSG_TRUNC}
		if err := e.run(); err != nil {
			return err
		}
		capacity = r.result.Messages / r.result.Wall.Seconds()
		rate = share * capacity
	}
	if rate <= 0 || rate > 1e8 {
		return fmt.Errorf("load: a rate of %v messages a second", rate)
	}
	s := &schedule{runner: r, size: int64(format.size), interval: time.Duration(float64(time.Second) / rate), due: make([]dueTimes, len(r.conns))}
	if err := s.run(); err != nil {
		return err
	}
	r.result.Capacity = capacity
	if _, err := r.verify(1); err != nil {
		return fmt.Errorf("after the measurement: %w", err)
	}
	return nil
}

// burst bounds the messages that are sent between two looks at the replies.
const burst = 32

func (s *schedule) run() error {
	s.buffer()
	s.lat.reset()
	s.measured = s.newMeasurement()
	for _, c := range s.conns {
		c.got = 0
	}
	s.next = s.now()
	last := s.next // time of a reply
	for !s.measured.over || s.waiting > 0 {
		now := s.now()
		if s.measured.due(now) {
			if err := s.measured.step(s.replies, int64(s.replies)*s.size); err != nil {
				return err
			}
		}
		for range burst {
			if s.measured.over || s.next > now {
				break
			}
			if err := s.send(); err != nil {
				return err
			}
		}
		// Without a CPU of its own it sleeps, and is late: that counts.
		events, err := s.poll.wait(time.Millisecond)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			last = now
		} else if now-last > s.Timeout {
			return fmt.Errorf("no reply for %v, %d messages are waiting", s.Timeout, s.waiting)
		} else if err := s.ctx.Err(); err != nil {
			return err
		}
		for i := range events {
			if err := s.receive(int(events[i].Fd)); err != nil {
				return fmt.Errorf("connection %d under load: %w", events[i].Fd+1, err)
			}
		}
	}
	return s.measured.close()
}

// send sends the message that is due.
func (s *schedule) send() error {
	c := s.conns[s.turn]
	c.batch, c.sent = s.script.batches[0], 0
	if err := c.push(); err != nil {
		return err
	}
	if c.unsent() {
		return fmt.Errorf("connection %d takes no more: %d messages are waiting", s.turn+1, s.waiting)
	}
	s.sent += int64(len(c.batch))
	s.due[s.turn].push(s.next)
	s.waiting++
	s.next += s.interval
	s.turn = (s.turn + 1) % len(s.conns)
	return nil
}

// receive reads all that a connection has. The messages that were due while the clock
// ran count, also those with a reply after it.
func (s *schedule) receive(number int) error {
	c := s.conns[number]
	for {
		n, err := c.recv(s.scratch, unix.MSG_TRUNC)
		if err != nil || n == again {
			return err
		}
		now := s.now()
		for c.got += int64(n); c.got >= s.size; c.got -= s.size {
			due, ok := s.due[number].pop()
			if !ok {
				return errors.New("more has come back than was sent")
			}
			s.waiting--
			s.replies++
			if s.measured.holds(due) {
				s.lat.add(now - due)
			}
		}
		if n < len(s.scratch) {
			return nil
		}
	}
}
