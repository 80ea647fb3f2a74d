package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
)

// side is one end of a connection of TestRandomCalls.
type side struct {
	r       *round
	name    string
	c       *websocket.Conn
	senders []*sender
	got     []string // messages, or their beginnings
	streams atomic.Int32
}

func newSide(r *round, name string, c *websocket.Conn) *side {
	s := &side{r: r, name: name, c: c}
	for i := range 1 + r.rng.IntN(4) {
		s.senders = append(s.senders, &sender{side: s, id: fmt.Sprint(name, i), fate: make(map[string]fate)})
	}
	return s
}

// fate is the known outcome of a message that a sender has tried to send.
type fate int

const (
	refused  fate = 1 + iota // never received
	maybe                    // received once or not
	accepted                 // received, if what was accepted before was
)

// sender is a goroutine that sends. Its fields are read when it has ended.
type sender struct {
	side *side
	id   string
	sent []string // in order
	fate map[string]fate
}

func (s *sender) run(rng *rand.Rand) {
	for i := range 10 + rng.IntN(40) {
		size := rng.IntN(200)
		switch rng.IntN(12) {
		case 0:
			size = rng.IntN(20 << 10)
		case 1:
			size = rng.IntN(100 << 10)
		}
		head := fmt.Sprint(s.id, "/", i)
		err, called := s.call(rng, []byte(head+" "+strings.Repeat("m", size)))
		if called {
			s.sent = append(s.sent, head)
			s.fate[head] = s.judge(err)
		}
		if websocket.CloseCode(err) != 0 {
			return
		}
		if rng.IntN(10) == 0 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
		}
	}
}

func (s *sender) judge(err error) fate {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, websocket.ErrMaybeSent), websocket.CloseCode(err) != 0:
		return maybe
	case errors.Is(err, websocket.ErrBackpressure):
		return refused
	case s.side.r.hasty && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		return refused
	}
	s.side.r.t.Errorf("sending: %v", err)
	return maybe
}

// call makes a random call. called tells whether it was one that sends msg.
func (s *sender) call(rng *rand.Rand, msg []byte) (err error, called bool) {
	c, typ, ctx := s.side.c, websocket.Binary, context.Background()
	if rng.IntN(2) == 0 {
		typ = websocket.Text
	}
	if s.side.r.hasty && rng.IntN(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(500))*time.Microsecond)
		defer cancel()
	}
	switch rng.IntN(12) {
	case 0, 1, 2:
		return c.Write(ctx, typ, msg), true
	case 3, 4:
		return s.send(func() error { return c.Send(typ, msg) }), true
	case 5:
		return c.WriteUncompressed(ctx, typ, msg), true
	case 6, 7:
		m, err := websocket.NewPreparedMessage(typ, msg)
		if err != nil {
			return err, true
		}
		if rng.IntN(2) == 0 {
			return s.send(func() error { return c.SendPrepared(m) }), true
		}
		return c.WritePrepared(ctx, m), true
	case 8, 9:
		return s.stream(rng, ctx, typ, msg), true
	case 10:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(3))*time.Millisecond)
		defer cancel()
		_, err := c.Ping(ctx)
		if websocket.CloseCode(err) == 0 && err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.side.r.t.Errorf("Ping returned %v", err)
		}
		return err, false
	}
	select {
	case <-c.Drained():
	case <-time.After(time.Millisecond):
	}
	c.Stats()
	c.RTT()
	if n := c.Buffered(); n < 0 {
		s.side.r.t.Errorf("Buffered is %d", n)
	}
	return nil, false
}

// errBehindStream is for a message that waits behind one that is being streamed: if
// the connection closes before that is complete, no message can follow.
var errBehindStream = fmt.Errorf("behind a stream: %w", websocket.ErrMaybeSent)

func (s *sender) send(call func() error) error {
	before := s.side.streams.Load()
	err := call()
	if err == nil && (before > 0 || s.side.streams.Load() > 0) {
		return errBehindStream
	}
	return err
}

func (s *sender) stream(rng *rand.Rand, ctx context.Context, typ websocket.MessageType, msg []byte) error {
	s.side.streams.Add(1)
	defer s.side.streams.Add(-1)
	w, err := s.side.c.Writer(ctx, typ)
	if err != nil {
		return err
	}
	for len(msg) > 0 {
		n := 1 + rng.IntN(len(msg))
		if _, err := w.Write(msg[:n]); err != nil {
			w.Close() // returns the same
			return err
		}
		msg = msg[n:]
	}
	return w.Close()
}

// read reads with all reading methods, up to the end.
func (s *side) read(rng *rand.Rand) error {
	for {
		msg, err := s.readOne(rng)
		switch {
		case err == nil:
			s.got = append(s.got, msg)
		case websocket.CloseCode(err) != 0:
			return err
		case !errors.Is(err, context.DeadlineExceeded):
			s.r.t.Errorf("reading: %v", err)
			return err
		}
		if rng.IntN(16) == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func (s *side) readOne(rng *rand.Rand) (string, error) {
	ctx := context.Background()
	if rng.IntN(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(400))*time.Microsecond)
		defer cancel()
	}
	switch rng.IntN(4) {
	case 0:
		_, p, err := s.c.Read(ctx)
		return string(p), err
	case 1:
		_, p, err := s.c.ReadAppend(ctx, []byte("x"))
		return strings.TrimPrefix(string(p), "x"), err
	case 2:
		for m, err := range s.c.Messages(ctx) {
			return string(m.Data), err
		}
		_, _, err := s.c.Read(ctx) // the peer has closed normally
		return "", err
	}
	_, r, err := s.c.Reader(context.Background())
	if err != nil {
		return "", err
	}
	if rng.IntN(2) == 0 {
		p, err := io.ReadAll(r)
		return string(p), err
	}
	head := make([]byte, 16) // the rest is for the next call to discard
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return string(head[:n]), err
}

// received checks the messages that s got from the other side: all accepted ones, if
// whole is set.
func (s *side) received(from *side, whole bool) {
	t := s.r.t
	got := make(map[string][]string)
	for _, m := range s.got {
		head, _, ok := strings.Cut(m, " ")
		id, _, ok2 := strings.Cut(head, "/")
		if !ok || !ok2 {
			t.Errorf("%s received %q", s.name, m[:min(len(m), 40)])
			return
		}
		got[id] = append(got[id], head)
	}
	for _, f := range from.senders {
		rest, missing := got[f.id], ""
		for _, head := range f.sent {
			arrived := len(rest) > 0 && rest[0] == head
			if arrived {
				rest = rest[1:]
			}
			switch f := f.fate[head]; {
			case f == refused && arrived:
				t.Errorf("%s was refused, and has arrived", head)
			case f == accepted && !arrived && missing == "":
				missing = head
			case f == accepted && arrived && missing != "":
				t.Errorf("%s has arrived, but not %s before it", head, missing)
			}
		}
		if whole && missing != "" {
			t.Errorf("%s was accepted, and has not arrived", missing)
		}
		if len(rest) > 0 {
			t.Errorf("from %s arrived out of order, or twice: %v", f.id, rest[:min(len(rest), 5)])
		}
	}
}
