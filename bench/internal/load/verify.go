//go:build linux

package load

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// replyFormat describes what a server's replies look like on the wire.
type replyFormat struct {
	size   int  // bytes per message with its headers
	single bool // every message is one frame, all of the same size
}

// exchange is a batch with replies that are read and compared.
type exchange struct {
	r        *runner
	c        *conn
	opcode   byte
	messages [][]byte // the expected replies, in this order
	raw      []byte   // or, from a floor, the expected bytes

	in      []byte // received and not yet parsed
	part    []byte // payload of the message whose frames have not all come
	partial bool
	deflate bool // that message is compressed
	frames  int
	wire    int
	done    int    // messages that were right
	history []byte // the window of the server's messages
}

// begin sends a batch that no other connection sends, or the next batch of the script if
// the job is compressed. finish sends the bytes that the socket does not take.
func (r *runner) begin(number int, c *conn, count int) (*exchange, error) {
	x := &exchange{r: r, c: c, opcode: opBinary}
	if r.Compress != "" {
		x.opcode = opText
		n := c.batches % len(r.script.batches)
		c.batch = r.script.batches[n]
		x.messages = r.script.messages[n : n+1]
		x.history = r.script.before(c.batches, r.serverWindow)
	} else {
		x.messages = numbered(r.Size, count, uint64(number+1)<<20|uint64(c.batches+1))
		c.batch = frames(finBit|opBinary, x.messages)
		if r.Raw {
			x.raw = c.batch
		}
	}
	c.batches++
	c.sent, c.record = 0, r.recordSize(c.batch, len(x.messages))
	return x, c.push()
}

// finish sends the rest of the batch and reads the replies until all have come. It
// returns an error if one is wrong.
func (x *exchange) finish() error {
	for {
		ok, err := x.complete()
		if err != nil || ok {
			return err
		}
		if err := x.r.ctx.Err(); err != nil {
			return err
		}
		if err := x.c.push(); err != nil {
			return err
		}
		n, err := x.c.recv(x.r.buffer(), 0)
		if err != nil {
			return err
		}
		if n != again {
			x.in = append(x.in, x.r.scratch[:n]...)
			continue
		}
		events := int16(unix.POLLIN)
		if x.c.unsent() {
			events |= unix.POLLOUT
		}
		if err := await(x.c.fd, events, x.r.Timeout); err != nil {
			return fmt.Errorf("reply %d of %d does not come whole: %w", x.done+1, len(x.messages), err)
		}
	}
}

// buffer is the receive buffer.
func (r *runner) buffer() []byte {
	if r.scratch == nil {
		r.scratch = make([]byte, 1<<20)
	}
	return r.scratch
}

// complete compares the replies so far and reports whether all have come.
func (x *exchange) complete() (bool, error) {
	if x.raw != nil {
		n := min(len(x.in), len(x.raw))
		if len(x.in) > len(x.raw) || !bytes.Equal(x.in[:n], x.raw[:n]) {
			return false, fmt.Errorf("the echo differs from what was sent within %d bytes", len(x.in))
		}
		x.wire, x.done = len(x.raw), len(x.messages)
		return n == len(x.raw), nil
	}
	for {
		h, n, err := parseHeader(x.in)
		if err != nil {
			return false, err
		}
		if n == 0 || int64(len(x.in)-n) < h.length {
			break
		}
		if err := x.frame(h, x.in[n:n+int(h.length)]); err != nil {
			return false, fmt.Errorf("reply %d of %d: %w", x.done+1, len(x.messages), err)
		}
		x.in = x.in[n+int(h.length):]
		x.frames++
		x.wire += n + int(h.length)
	}
	return x.done == len(x.messages) && len(x.in) == 0, nil
}

func (x *exchange) frame(h header, payload []byte) error {
	switch {
	case x.done == len(x.messages):
		return errors.New("one message too many")
	case x.partial == (h.opcode != 0):
		return fmt.Errorf("opcode %d where none or another has its place", h.opcode)
	case !x.partial && h.opcode != x.opcode:
		return fmt.Errorf("opcode %d instead of %d", h.opcode, x.opcode)
	case !x.partial && h.rsv1 != (x.r.Compress != ""):
		return fmt.Errorf("compression bit is %v", h.rsv1)
	}
	if !x.partial {
		x.part, x.deflate = x.part[:0], h.rsv1
	}
	x.part = append(x.part, payload...)
	x.partial = !h.fin
	if !h.fin {
		return nil
	}
	got, want := x.part, x.messages[x.done]
	if x.deflate {
		var err error
		if got, err = inflate(x.part, x.history, len(want)); err != nil {
			return err
		}
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the message differs from what was sent (%d bytes for %d)", len(got), len(want))
	}
	x.done++
	return nil
}

// inflate decompresses a message (RFC 7692, section 7.2.2). It appends a final block, so
// that the reader does not wait for more.
func inflate(data, history []byte, limit int) ([]byte, error) {
	src := io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}))
	got, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(src, history), int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("compressed message: %w", err)
	}
	return got, nil
}

// verify makes every connection echo messages in one batch, and compares them. The
// first connection echoes count of them, the others only as many of the large ones as
// show that the order is kept. It also learns the form of the replies.
func (r *runner) verify(count int) (replyFormat, error) {
	var format replyFormat
	for i := 0; i < len(r.conns); i += atOnce {
		some := r.conns[i:min(i+atOnce, len(r.conns))]
		started := make([]*exchange, len(some))
		for j, c := range some {
			var err error
			n := count
			if i+j > 0 {
				n = min(count, max(2, 64<<10/r.Size))
			}
			if started[j], err = r.begin(i+j, c, n); err != nil {
				return format, fmt.Errorf("connection %d: %w", i+j+1, err)
			}
		}
		for j, x := range started {
			if err := x.finish(); err != nil {
				return format, fmt.Errorf("connection %d: %w", i+j+1, err)
			}
			one := replyFormat{x.wire / x.done, x.frames == x.done && x.wire%x.done == 0 || x.raw != nil}
			if i+j == 0 {
				format = one
			}
			format.single = format.single && one == format
		}
	}
	return format, nil
}
