package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket"
)

// TestContextKeepsNothing uses one context that lives on for all calls on many
// connections, up to their ends: none of them is kept in memory by it.
func TestContextKeepsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := r.start(t, calm(), program{message: func(l *lib, msg string) bool { return msg != endMark }})
		s.ctx = ctx
		var conns []weak.Pointer[websocket.Conn]
		for i := range times(12) {
			p, l := s.connect()
			p.record()
			conns = append(conns, weak.Make(l.c()))
			useUpToEnd(ctx, l, p, i)
			wait(t, "the end of the handler", l.done)
			s.conns.Delete(l.c())
			l.conn.Store(nil)
		}
		left := 0
		for deadline := time.Now().Add(patience / 4); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			left = 0
			for _, c := range conns {
				if c.Value() != nil {
					left++
				}
			}
			if left == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d connections are still in memory", left, len(conns))
			}
		}
	})
}

// useUpToEnd writes and pings until the connection has ended, with calls that
// use the context for the first time as it ends. The peer ends it, or the
// handler.
func useUpToEnd(ctx context.Context, l *lib, p *peer, i int) {
	c := l.c()
	var calls sync.WaitGroup
	for n := range 4 {
		calls.Go(func() {
			for begin := time.Now(); time.Since(begin) < time.Duration(n*i)*3*time.Microsecond; {
				runtime.Gosched()
			}
			for i := 1; c.Write(ctx, websocket.Text, []byte("tick")) == nil; i++ {
				if i%10 == 0 {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
	}
	calls.Go(func() { c.Ping(ctx) })
	switch i % 3 {
	case 0:
		p.trySend(text(endMark))
	case 1:
		p.trySend(closing(1000, ""))
	case 2:
		p.close()
	}
	calls.Wait()
}

// TestMaybeSent writes with contexts that end while the peer reads slowly. A
// message whose error does not wrap ErrMaybeSent is never received, and one that
// was accepted is received once, though writes leave together.
func TestMaybeSent(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.startSmall(t, calm(), program{})
		for range times(2) {
			p, l := s.connect()
			p.pace = func() { time.Sleep(time.Millisecond) }
			fill := do(func() error { return l.write("fill " + strings.Repeat("f", 1<<20)) })
			until(t, "the first write has begun", func() bool { return l.c().Buffered() > 1<<19 })
			p.record()
			refused := writeOutOfTime(t, l)
			if err := wait(t, "the first write", fill); err != nil {
				t.Errorf("the first write: %v", err)
			}
			l.c().Close(1000, "") // fails if a write was cut off
			frames, _ := p.all()
			got, err := messages(frames)
			if err != nil {
				t.Error(err)
			}
			seen := make(map[string]int)
			for _, m := range got {
				id, _, _ := strings.Cut(m, " ")
				seen[id]++
			}
			for _, m := range l.accepted() {
				id, _, _ := strings.Cut(m, " ")
				if seen[id] != 1 {
					t.Errorf("message %s was accepted, and received %d times", id, seen[id])
				}
			}
			for id, err := range refused {
				ended := websocket.CloseCode(err) != 0 // the connection, by which nobody is told what arrived
				if seen[id] > 1 || seen[id] == 1 && !ended && !errors.Is(err, websocket.ErrMaybeSent) {
					t.Errorf("message %s was received %d times, though Write returned %v", id, seen[id], err)
				}
			}
		}
	})
}

// writeOutOfTime writes from several goroutines with contexts of some
// milliseconds and returns the errors of those that failed.
func writeOutOfTime(t *testing.T, l *lib) map[string]error {
	var mu sync.Mutex
	refused := make(map[string]error)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 12 {
				id := fmt.Sprintf("%d/%d", w, i)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%4)*3*time.Millisecond)
				msg := id + " " + strings.Repeat("x", 12<<10)
				err := l.note(msg, l.c().Write(ctx, websocket.Text, []byte(msg)))
				cancel()
				if err == nil {
					continue
				}
				mu.Lock()
				refused[id] = err
				mu.Unlock()
				if i%4 == 0 && errors.Is(err, websocket.ErrMaybeSent) {
					t.Errorf("the context had ended before, but: %v", err)
				}
			}
		})
	}
	writers.Wait()
	return refused
}

// TestSurelyNotSent has writes wait behind one that the peer does not take, and
// end with their contexts: they were surely not sent, and the error says so.
func TestSurelyNotSent(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		big := strings.Repeat("b", 2<<20)
		s := r.startSmall(t, calm(), program{})
		p, l := s.connect()
		first := do(func() error { return l.write(big) })
		until(t, "the first write has begun", func() bool { return l.c().Buffered() > 1<<20 })
		if r.queues() {
			wait(t, "the first write", first)
		}
		for i := range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			err := l.c().Write(ctx, websocket.Text, fmt.Append(nil, "behind ", i))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, websocket.ErrMaybeSent) {
				t.Errorf("a write behind another returned %v", err)
			}
		}
		p.record()
		if !r.queues() {
			if err := wait(t, "the first write", first); err != nil {
				t.Errorf("the first write returned %v", err)
			}
		}
		if err := l.c().Close(1000, ""); err != nil && r.engine != onAccept && r.engine != onDial {
			t.Errorf("Close returned %v", err)
		}
		said(1000, "").check(t, p, l)
	})
}
