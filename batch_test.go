package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// Messages that leave together: answers to a batch of input, and those of
// writers that meet.

// TestAnswersLeaveTogether: with one processor the answers to what arrived at
// once take one write.
func TestAnswersLeaveTogether(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, peer := bufpipe.New(pipeSize)
	defer peer.Close()
	nc := &counted{Conn: a}
	c := newConn(nc, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	go echo(c)

	const batches, each = 20, 16
	var batch []byte
	for i := range each {
		batch = append(batch, frame(OpText, true, true, fmt.Sprint("message ", i))...)
	}
	r := &frameReader{nc: peer}
	for range batches {
		peer.Write(batch)
		for i := range each {
			if f, err := r.next(); err != nil || f.payload != fmt.Sprint("message ", i) {
				t.Fatalf("%q, %v", f.payload, err)
			}
		}
	}
	c.out.lock()
	defer c.out.unlock()
	// Preemption can split a batch.
	if nc.writes > 2*batches {
		t.Errorf("%d writes for %d batches", nc.writes, batches)
	}
}

// TestHeldMessageLeavesAtOnce: a handler that has more to read writes, and
// never comes back to read it.
func TestHeldMessageLeavesAtOnce(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for m, err := range c.Messages(bg) {
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Write(bg, m.Type, m.Data); err != nil {
					t.Error(err)
				}
				<-stop
				return
			}
		}()
		peer.Write(append(frame(OpText, true, true, "first"), frame(OpText, true, true, "second")...))
		f, err := (&frameReader{nc: peer}).next()
		if err != nil || f.payload != "first" {
			t.Errorf("%q, %v", f.payload, err)
		}
		close(stop)
		<-stopped
		if _, p, err := c.Read(bg); string(p) != "second" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

// TestHeldErrorIsReported: what became of a held message shows in the next
// call.
func TestHeldErrorIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := bufpipe.New(pipeSize)
		c := newConn(a, connConfig{opts: Options{}.withDefaults()})
		defer c.CloseNow()
		peer.Write(append(frame(OpText, true, true, "first"), frame(OpText, true, true, "second")...))
		if _, _, err := c.Read(bg); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		if err := c.Write(bg, Text, []byte("held")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.Write(bg, Text, nil); CloseCode(err) != StatusAbnormalClosure {
			t.Error(err)
		}
		if _, p, err := c.Read(bg); string(p) != "second" || err != nil { // it had arrived
			t.Errorf("%q, %v", p, err)
		}
		if _, _, err := c.Read(bg); CloseCode(err) != StatusAbnormalClosure {
			t.Error(err)
		}
	})
}

// TestHeldIsBounded: a peer that sends a lot at once and reads nothing.
func TestHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, peer := bufpipe.New(1 << 20)
		c := newConn(a, connConfig{opts: Options{}.withDefaults()})
		go echo(c)
		batch := bytes.Repeat(frame(OpBinary, true, true, strings.Repeat("x", 1000)), 1000)
		go func() {
			for {
				if _, err := peer.Write(batch); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if n := c.Buffered(); n == 0 || n > 3*maxPending {
			t.Errorf("%d bytes wait", n)
		}
		read := c.Stats().MessagesRead
		synctest.Wait()
		if now := c.Stats().MessagesRead; now != read {
			t.Error("it reads on")
		}
		c.CloseNow()
		peer.Close()
	})
}

// shut is a transport that takes nothing until it is opened.
type shut struct {
	net.Conn
	open chan struct{}

	mu     sync.Mutex
	cut    chan struct{} // closed while the write deadline is in the past
	writes int
}

func newShut(t *testing.T, client bool) (s *shut, c *Conn, peer net.Conn) {
	return newShutConn(t, connConfig{client: client})
}

func newShutConn(t *testing.T, cfg connConfig) (s *shut, c *Conn, peer net.Conn) {
	a, peer := bufpipe.New(1 << 20)
	s = &shut{Conn: a, open: make(chan struct{}), cut: make(chan struct{})}
	cfg.opts = Options{}.withDefaults()
	c = newConn(s, cfg)
	setWhole(c, true)
	t.Cleanup(func() {
		c.CloseNow()
		peer.Close()
	})
	return s, c, peer
}

func (s *shut) Write(p []byte) (int, error) {
	s.mu.Lock()
	open, cut := s.open, s.cut
	s.writes++
	s.mu.Unlock()
	select {
	case <-open:
		return s.Conn.Write(p)
	case <-cut:
		return 0, os.ErrDeadlineExceeded
	}
}

// shutAgain has the writes that follow wait.
func (s *shut) shutAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = make(chan struct{})
}

func (s *shut) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.cut:
		s.cut = make(chan struct{})
	default:
	}
	if t.Equal(transport.Past) {
		close(s.cut)
	}
	return nil
}

// waiters returns how many writers wait for their turn.
func waiters(c *Conn) int {
	c.out.lock()
	defer c.out.unlock()
	if c.out.queue == nil {
		return 0
	}
	return len(c.out.queue.waiting)
}

func busy(c *Conn) bool {
	c.out.lock()
	defer c.out.unlock()
	return c.out.write.held()
}

// TestWritersMeet: those that wait for a write under way leave together.
func TestWritersMeet(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, c, peer := newShut(t, client)
		const n = 50
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := c.Write(bg, Text, []byte(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
			until(t, "it waits", func() bool { return busy(c) && waiters(c) == i })
		}
		close(s.open)
		wg.Wait()
		if s.writes != 2 {
			t.Errorf("client %v: %d writes, want 2: the first, and all that waited for it", client, s.writes)
		}
		if st := c.Stats(); st.MessagesWritten != n {
			t.Errorf("%d messages counted", st.MessagesWritten)
		}
		seen := map[string]bool{}
		r := &frameReader{nc: peer}
		for range n {
			f, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			seen[f.payload] = true
		}
		if len(seen) != n {
			t.Errorf("%d different messages of %d", len(seen), n)
		}
	}
}

// TestWritersMeetAndGiveUp: a writer whose context ends does not take those
// along that would have left with it, whether it is their leader or not.
func TestWritersMeetAndGiveUp(t *testing.T) {
	s, c, peer := newShut(t, false)
	errs := map[string]chan error{}
	cancels := map[string]context.CancelFunc{}
	write := func(text string) {
		ctx, cancel := context.WithCancel(bg)
		errs[text], cancels[text] = make(chan error, 1), cancel
		go func() { errs[text] <- c.Write(ctx, Text, []byte(text)) }()
	}
	want := func(text string, target error) {
		t.Helper()
		if err := <-errs[text]; !errors.Is(err, target) {
			t.Errorf("%s: %v, want %v", text, err, target)
		}
	}
	write("first")
	until(t, "it writes", func() bool { return busy(c) })
	for i, text := range []string{"leader", "follower", "leaves early", "goes along", "second follower"} {
		write(text)
		until(t, "it waits", func() bool { return waiters(c) == i+1 })
	}
	cancels["leaves early"]()
	want("leaves early", context.Canceled)

	cancels["first"]() // before its frame: the next one writes, with all the others
	want("first", context.Canceled)
	until(t, "all leave", func() bool { return waiters(c) == 0 && busy(c) })
	cancels["goes along"]() // too late to be called back
	want("goes along", context.Canceled)
	cancels["leader"]() // the others stay, to leave without it
	want("leader", context.Canceled)
	want("follower", nil)
	want("second follower", nil)

	close(s.open)
	if err := c.Write(bg, Text, []byte("last")); err != nil {
		t.Fatal(err)
	}
	r := &frameReader{nc: peer}
	var texts []string
	for len(texts) == 0 || texts[len(texts)-1] != "last" {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, f.payload)
	}
	if fmt.Sprint(texts) != "[follower goes along second follower last]" {
		t.Errorf("arrived: %q", texts)
	}
	for _, cancel := range cancels {
		cancel()
	}
}

// TestWritersMeetAndFail: those whose messages another took along learn of
// its failure.
func TestWritersMeetAndFail(t *testing.T) {
	_, c, peer := newShut(t, false)
	errs := make(chan error)
	for i := range 10 {
		go func() { errs <- c.Write(bg, Text, []byte{'0' + byte(i)}) }()
		until(t, "it waits", func() bool { return busy(c) && waiters(c) == i })
	}
	peer.Close()
	c.CloseNow()
	for range 10 {
		if err := <-errs; CloseCode(err) != StatusAbnormalClosure {
			t.Error(err)
		}
	}
}

// TestCloseBehindAll: the close frame goes behind what is held, and nothing
// behind it, not even a pong that there was no room for.
func TestCloseBehindAll(t *testing.T) {
	s, c, peer := newShut(t, false)
	c.out.lock()
	held := 0
	for _, size := range []int{1000, 100, 10} {
		for c.out.canCoalesceLocked(size) {
			c.coalesceLocked(outFrame{op: OpBinary, fin: true, p: make([]byte, size)})
			held++
		}
	}
	c.out.unlock()
	c.queuePong(make([]byte, maxControlPayload))
	go c.Close(StatusNormalClosure, "")
	<-c.Context().Done()
	until(t, "it writes", func() bool { return busy(c) })
	close(s.open)
	r := &frameReader{nc: peer}
	for range held {
		if f, err := r.next(); err != nil || f.Opcode != OpBinary {
			t.Fatal(f.Opcode, err)
		}
	}
	f, err := r.next()
	for err == nil && f.Opcode == OpPong {
		f, err = r.next()
	}
	if err != nil || f.Opcode != OpClose {
		t.Fatal(f.Opcode, err)
	}
	peer.Write(frame(OpClose, true, true, "\x03\xe8"))
	if f, err := r.next(); err != io.EOF {
		t.Error("behind the close frame:", f.Opcode, err)
	}
}
