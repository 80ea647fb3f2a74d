//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// echoLoad is the state of an Echo job under load.
type echoLoad struct {
	*runner
	reply    replyFormat // valid if the replies can be counted by their bytes alone
	goal     int64       // a conn's got when its batch is answered
	flags    int         // for recv
	wire     int64       // bytes received so far, without those of TLS
	messages int64       // messages received so far, where they are counted
	busy     int         // connections that wait for a reply
	measured *measurement
}

func (r *runner) echo() error {
	if err := r.open(r.Conns); err != nil {
		return err
	}
	if err := r.write(); err != nil {
		return err
	}
	format, err := r.verify(r.Depth)
	if err != nil {
		return fmt.Errorf("before the measurement: %w", err)
	}
	e := &echoLoad{runner: r, reply: format, goal: int64(r.Depth)}
	if r.Compress != "" {
		e.reply.single, e.goal = false, 1
	}
	if e.reply.single {
		e.goal = int64(format.size) * int64(r.Depth)
		e.flags = unix.MSG_TRUNC
	}
	if err := e.run(); err != nil {
		return err
	}
	if _, err := r.verify(r.Depth); err != nil {
		return fmt.Errorf("after the measurement: %w", err)
	}
	return nil
}

// write makes the script.
func (r *runner) write() error {
	if r.Compress == "" {
		r.script = plainScript(r.Size, max(r.Depth, 1))
		return nil
	}
	if r.Depth > 1 || r.Size < 512 {
		return errors.New("load: compressed messages go one by one, of at least 512 bytes")
	}
	window, err := takenOver(r.result.Extensions, "client")
	if err == nil {
		r.serverWindow, err = takenOver(r.result.Extensions, "server")
	}
	if r.Compress == NoTakeover { // negotiated for both sides
		window, r.serverWindow = 0, 0
	}
	if err == nil && window > 0 && window < r.Size {
		err = fmt.Errorf("the server wants a window of %d bytes, less than a message", window)
	}
	if err == nil {
		r.script, err = deflateScript(r.Size, window)
	}
	return err
}

// run loads the server: warm-up, measurement, and then until all is answered.
func (e *echoLoad) run() error {
	e.buffer()
	e.measured = e.newMeasurement()
	for _, c := range e.conns {
		c.frames = frameScanner{rsv1: e.Compress != ""}
		if err := e.start(c, e.now()); err != nil {
			return err
		}
	}
	last := e.now() // time of an event
	for e.busy > 0 {
		events, err := e.poll.wait(10 * time.Millisecond)
		if err != nil {
			return err
		}
		now := e.now()
		if e.measured.due(now) && (e.measured.open || e.warm()) {
			if err := e.measured.step(e.count(), e.onWire()); err != nil {
				return err
			}
		}
		if len(events) == 0 {
			if now-last > e.Timeout {
				return fmt.Errorf("no reply for %v, %d of %d connections are waiting", e.Timeout, e.busy, len(e.conns))
			}
			if err := e.ctx.Err(); err != nil {
				return err
			}
			continue
		}
		last = now
		for i := range events {
			if err := e.event(e.conns[events[i].Fd]); err != nil {
				return fmt.Errorf("connection %d under load: %w", events[i].Fd+1, err)
			}
		}
	}
	return e.measured.close()
}

// warm reports whether the warm-up has had enough messages.
func (e *echoLoad) warm() bool { return e.count() >= float64(e.Messages*len(e.conns)) }

// count returns how many messages have come back. If bytes are counted, half a
// message counts for a half.
func (e *echoLoad) count() float64 {
	if e.reply.single {
		return float64(e.wire) / float64(e.reply.size)
	}
	return float64(e.messages)
}

// onWire returns how many bytes have come back, those of TLS included.
func (e *echoLoad) onWire() int64 {
	if e.TLS {
		return e.traffic.bytes
	}
	return e.wire
}

// start sends the next batch.
func (e *echoLoad) start(c *conn, now time.Duration) error {
	e.busy++
	c.batch = e.script.batches[c.batches%len(e.script.batches)]
	c.batches++
	c.sent, c.got, c.since = 0, 0, now
	c.record = e.recordSize(c.batch, e.Depth)
	return c.push()
}

// event reads from a connection. When the batch is answered it sends the next one.
func (e *echoLoad) event(c *conn) error {
	if c.unsent() {
		if err := c.push(); err != nil {
			return err
		}
	}
	for {
		n, err := c.recv(e.scratch, e.flags)
		if err != nil {
			return err
		}
		if n == again {
			return nil
		}
		e.wire += int64(n)
		if e.reply.single {
			c.got += int64(n)
		} else {
			messages, err := c.frames.feed(e.scratch[:n])
			if err != nil {
				return err
			}
			c.got += int64(messages)
			e.messages += int64(messages)
		}
		if c.got > e.goal || c.got == e.goal && c.unsent() {
			return errors.New("more has come back than was sent")
		}
		if c.got == e.goal {
			now := e.now()
			if e.measured.open {
				e.lat.add(now - c.since)
			}
			e.sent += int64(len(c.batch))
			e.busy--
			if e.measured.over {
				return nil
			}
			if err := e.start(c, now); err != nil {
				return err
			}
		}
		if c.tls == nil && n < len(e.scratch) {
			return nil // nothing is left; later bytes are a new event
		}
	}
}
