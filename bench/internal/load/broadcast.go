//go:build linux

package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func (r *runner) broadcast() error {
	if r.Stalled > 0 {
		if err := r.stall(); err != nil {
			return fmt.Errorf("stalling: %w", err)
		}
	}
	if err := r.open(r.Conns - len(r.conns)); err != nil {
		return err
	}
	// The server may add a connection to its list after it has answered the handshake.
	if err := WaitIdle(r.ctx, r.PID); err != nil {
		return err
	}
	r.script = plainScript(r.Size, max(r.Depth, 1))
	format, err := r.verifyBroadcast()
	if err != nil {
		return fmt.Errorf("before the measurement: %w", err)
	}
	if err := r.runBroadcast(format); err != nil {
		return err
	}
	if _, err := r.verifyBroadcast(); err != nil {
		return fmt.Errorf("after the measurement: %w", err)
	}
	return nil
}

// stall opens the connections that read nothing and the sender. The sender then sends
// more than the kernel has room for, so that the server has bytes queued for the others.
func (r *runner) stall() error {
	const size, bytes = 60 << 10, 16 << 20
	if err := r.open(1 + r.Stalled); err != nil {
		return err
	}
	sender := r.conns[0]
	r.stalled = r.conns[1:]
	r.conns = r.conns[:1:1]
	for _, c := range r.stalled {
		if err := unix.EpollCtl(r.poll.fd, unix.EPOLL_CTL_DEL, c.fd, nil); err != nil {
			return err
		}
	}
	if err := WaitIdle(r.ctx, r.PID); err != nil {
		return err
	}
	for range bytes / size {
		x := &exchange{r: r, c: sender, opcode: opBinary, messages: numbered(size, 1, uint64(sender.batches+1))}
		sender.batch, sender.sent = frames(finBit|opBinary, x.messages), 0
		sender.batches++
		if err := sender.push(); err != nil {
			return err
		}
		if err := x.finish(); err != nil {
			return err
		}
	}
	return nil
}

// verifyBroadcast sends a batch and compares what each connection gets.
func (r *runner) verifyBroadcast() (replyFormat, error) {
	first, err := r.begin(0, r.conns[0], max(r.Depth, 1))
	if err != nil {
		return replyFormat{}, err
	}
	var format replyFormat
	for i, c := range r.conns {
		x := &exchange{r: r, c: c, opcode: opBinary, messages: first.messages, raw: first.raw}
		if err := x.finish(); err != nil {
			return format, fmt.Errorf("connection %d: %w", i+1, err)
		}
		one := replyFormat{x.wire / x.done, x.frames == x.done && x.wire%x.done == 0 || x.raw != nil}
		if i == 0 {
			format = one
		}
		if one != format || !one.single {
			return format, fmt.Errorf("connection %d: a broadcast of %d messages has %d bytes in %d frames", i+1, x.done, x.wire, x.frames)
		}
	}
	return format, nil
}

// runBroadcast sends a batch as soon as all connections have got the previous one.
func (r *runner) runBroadcast(format replyFormat) error {
	size := int64(format.size)
	goal := size * int64(max(r.Depth, 1))
	sender := r.conns[0]
	sender.batch = r.script.batches[0]
	if len(sender.batch) > 64<<10 {
		return fmt.Errorf("load: a batch of %d bytes may not fit into a socket", len(sender.batch))
	}
	var (
		wire    int64
		missing int // connections that have not got all of the batch
		began   time.Duration
	)
	r.buffer()
	w := r.newMeasurement()
	for !w.over || missing > 0 {
		now := r.now()
		if w.due(now) {
			if err := w.step(float64(wire)/float64(size), wire); err != nil {
				return err
			}
		}
		if missing == 0 && !w.over {
			missing, began = len(r.conns), now
			sender.sent = 0
			for _, c := range r.conns {
				c.got = 0
			}
			if err := sender.push(); err != nil {
				return err
			}
		}
		events, err := r.poll.wait(10 * time.Millisecond)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if now-began > r.Timeout {
				return fmt.Errorf("a broadcast does not reach %d of %d connections", missing, len(r.conns))
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
		}
		for i := range events {
			c := r.conns[events[i].Fd]
			n, err := recv(c.fd, r.scratch, unix.MSG_TRUNC)
			if err != nil {
				return fmt.Errorf("connection %d under load: %w", events[i].Fd+1, err)
			}
			if n == again {
				continue
			}
			wire += int64(n)
			if c.got += int64(n); c.got > goal {
				return fmt.Errorf("connection %d has received a message that was not sent", events[i].Fd+1)
			}
			if c.got == goal {
				missing--
			}
		}
		if missing == 0 && w.open {
			r.lat.add(r.now() - began)
		}
	}
	return w.close()
}
