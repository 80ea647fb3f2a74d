package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// modelRun is a connection in a random schedule: what it is, and what has been sent
// on it.
type modelRun struct {
	sentModel
	seed     uint64
	rnd      *rand.Rand // of the test's own goroutine
	cfg      connConfig
	c        *Conn
	nc       *narrow
	prepared *PreparedMessage
	frame    []byte // of prepared, as it has to stay
	abandons bool   // writers are abandoned, so nobody waits without a bound
	// reads tells that there is a reader. Else there are pings, which have the
	// connection read by itself: a reader that waits for that holds up the clock of
	// synctest, since it waits for a mutex.
	reads  bool
	ended  chan struct{}
	wg     sync.WaitGroup
	failed chan string // the first thing that was wrong
}

func (r *modelRun) fail(format string, args ...any) {
	select {
	case r.failed <- fmt.Sprintf(format, args...):
	default:
	}
}

// TestQueueModel runs random schedules over all that touches the queue of a
// connection and compares its wire with what the calls have returned. The clock is
// synctest's, and where a call does not return all goroutines are shown.
//
// QUEUE_SEED runs one schedule, QUEUE_TIME sets for how long others are tried.
func TestQueueModel(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("QUEUE_SEED"), 10, 64); err == nil {
		for range 20 { // what the scheduler does is not in the seed
			runModel(t, seed)
		}
		return
	}
	limit := time.Second
	if d, err := time.ParseDuration(os.Getenv("QUEUE_TIME")); err == nil {
		limit = d
	}
	n := 0
	for start := time.Now(); !t.Failed() && (n < 50 || time.Since(start) < limit); n++ {
		runModel(t, rand.Uint64())
	}
	t.Logf("%d schedules", n)
}

func runModel(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("QUEUE_SEED=%d", seed)
			}
		}()
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := &modelRun{seed: seed, rnd: rnd, nc: newNarrow(rnd), ended: make(chan struct{}), failed: make(chan string, 1)}
		r.sent = make(map[[2]uint32]*sentMessage)
		r.cfg = connConfig{client: rnd.IntN(2) == 0, opts: Options{PingInterval: -1, CloseTimeout: time.Second}.withDefaults()}
		if rnd.IntN(2) == 0 {
			r.cfg.agreement = compressing(&compression{Level: 1, Threshold: 64, SendBits: 15, RecvBits: 15, SendTakeover: rnd.IntN(3) > 0})
		}
		r.abandons, r.reads = rnd.IntN(4) == 0, rnd.IntN(2) == 0
		r.run(t)
	})
}

func (r *modelRun) run(t *testing.T) {
	rnd := r.rnd
	if rnd.IntN(3) == 0 {
		r.nc.lag = time.Duration(rnd.IntN(5000)) * time.Microsecond
	}
	deaf := rnd.IntN(8) == 0 // to deadlines
	if deaf {
		r.nc.lag = time.Hour
	}
	known := rnd.IntN(2) == 0
	if known {
		r.c = newConn(narrowKnown{r.nc}, r.cfg)
	} else {
		r.c = newConn(r.nc, r.cfg)
	}
	setWhole(r.c, rnd.IntN(2) == 0)
	exact := r.c.t.Exact()
	r.prepared, _ = NewPreparedMessage(Binary, modelMessage(1000, 0, 300))
	r.frame = bytes.Clone(r.prepared.plain)
	watchdog := time.AfterFunc(30*time.Second, func() {
		buf := make([]byte, 1<<20)
		r.c.out.lock()
		panic(fmt.Sprintf("QUEUE_SEED=%d: a call does not return; out %+v, queue %+v\n%s", r.seed, &r.c.out, r.c.out.queue, buf[:runtime.Stack(buf, true)]))
	})
	defer watchdog.Stop()

	stop := make(chan struct{})
	go r.giveRoom(rand.New(rand.NewPCG(r.seed, 2)), stop)
	r.wg.Go(func() { r.read(rand.New(rand.NewPCG(r.seed, 3))) })
	var work sync.WaitGroup
	for i := range 2 + rnd.IntN(4) {
		work.Go(func() { r.work(uint32(i+1), rand.New(rand.NewPCG(r.seed, uint64(i)+4))) })
	}
	closedAt := rnd.IntN(3)
	if closedAt == 0 && !r.abandons {
		work.Wait() // all returned although the connection is open
	} else {
		time.Sleep(time.Duration(rnd.IntN(8000)) * time.Microsecond)
	}
	stalled := rnd.IntN(4) == 0
	if stalled {
		close(stop)
		time.Sleep(time.Millisecond)
	}
	way := r.end(rnd)
	<-r.c.ended()
	work.Wait()
	<-r.c.Drained()
	r.wg.Wait()
	if !stalled {
		close(stop)
	}
	synctest.Wait()
	r.judge(t, way, exact, !deaf)
}

// judge compares the wire with the model, when all is over.
func (r *modelRun) judge(t *testing.T, way string, exact, complete bool) {
	select {
	case text := <-r.failed:
		t.Errorf("%s: %s", way, text)
	default:
	}
	r.nc.mu.Lock()
	defer r.nc.mu.Unlock()
	// It was not cut off for lack of room, nor was a write before.
	complete = complete && r.nc.atEnd >= 3*transport.MaxRoom && r.nc.failAt < 0 && (r.c.life.extra == nil || r.c.life.extra.writeErr == nil)
	if err := r.check(r.nc.wire, r.cfg, exact, complete); err != nil {
		t.Errorf("%s, room %d, exact %v, compression %+v: %v", way, r.nc.atEnd, exact, r.cfg.extensions.Deflate, err)
	}
	if n := r.c.Buffered(); n != 0 {
		t.Errorf("%s: %d bytes are buffered in the end", way, n)
	}
	if q := r.c.out.queue; q != nil && (len(q.waiting) > 0 || len(q.coalesced) > 0 || q.pending.Len() > 0 || q.behind.Len() > 0) {
		t.Errorf("%s: the queue is not empty", way)
	}
	accepted, possible := r.counts()
	if n := r.c.Stats().MessagesWritten; n < accepted || n > possible {
		t.Errorf("%s: %d messages were written by the statistics, of %d to %d", way, n, accepted, possible)
	}
	if !bytes.Equal(r.prepared.plain, r.frame) {
		t.Errorf("%s: a prepared message has changed", way)
	}
}

// giveRoom has the transport take something now and then, until stop.
func (r *modelRun) giveRoom(rnd *rand.Rand, stop <-chan struct{}) {
	pace := 1 << (8 + rnd.IntN(8))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rnd.IntN(300)) * time.Microsecond):
		}
		r.nc.do(func() { r.nc.room = min(r.nc.room+1+rnd.IntN(pace), 64<<10) })
	}
}

// arrive has frames of the peer arrive together.
func (r *modelRun) arrive(frames ...[]byte) {
	r.nc.do(func() {
		for _, f := range frames {
			r.nc.input = append(r.nc.input, f...)
		}
	})
}

// read reads, and answers some of what it gets.
func (r *modelRun) read(rnd *rand.Rand) {
	defer close(r.ended)
	r.wg.Go(func() { r.feed(rand.New(rand.NewPCG(r.seed, 99))) })
	if !r.reads {
		<-r.c.ended()
		return
	}
	for n := uint32(0); ; n++ {
		if _, _, err := r.c.Read(bg); err != nil {
			return
		}
		r.message(0, n, 10+rnd.IntN(300), rnd)
		if rnd.IntN(4) == 0 {
			runtime.Gosched()
		}
	}
}

// feed sends batches of messages and pings, and answers pings until the end.
func (r *modelRun) feed(rnd *rand.Rand) {
	for round, answered := 0, 0; ; round++ {
		var batch [][]byte
		for range rnd.IntN(4) {
			switch {
			case round >= 60:
			case rnd.IntN(3) == 0 || !r.reads:
				batch = append(batch, frame(OpPing, true, !r.cfg.client, "are you there?"))
			default:
				batch = append(batch, frame(OpBinary, true, !r.cfg.client, "something"))
			}
		}
		pongs, n := r.pongs(answered)
		answered = n
		r.arrive(append(batch, pongs...)...)
		select {
		case <-r.ended:
			return
		case <-time.After(time.Duration(rnd.IntN(1000)) * time.Microsecond):
		}
	}
}

// pongs returns the answers to the pings on the wire from pos on, and where it ends.
func (r *modelRun) pongs(pos int) (pongs [][]byte, end int) {
	r.nc.mu.Lock()
	defer r.nc.mu.Unlock()
	for {
		h, n, err := ParseHeader(r.nc.wire[pos:])
		if err != nil || n == 0 || len(r.nc.wire)-pos < n+int(h.Length) {
			return pongs, pos
		}
		if h.Opcode == OpPing {
			p := bytes.Clone(r.nc.wire[pos+n:][:h.Length])
			if h.Masked {
				Mask(p, h.Key, 0)
			}
			pongs = append(pongs, frame(OpPong, true, !r.cfg.client, string(p)))
		}
		pos += n + int(h.Length)
	}
}

// context returns one that ends at some time, or never.
func (r *modelRun) context(rnd *rand.Rand) (context.Context, context.CancelFunc) {
	switch rnd.IntN(4) {
	case 0:
		return context.WithTimeout(bg, time.Duration(rnd.IntN(1500))*time.Microsecond)
	case 1:
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(time.Duration(rnd.IntN(300))*time.Microsecond, cancel)
		return ctx, cancel
	}
	if r.abandons {
		return context.WithTimeout(bg, time.Second)
	}
	return bg, func() {}
}

// message sends message n in some way.
func (r *modelRun) message(from, n uint32, size int, rnd *rand.Rand) {
	p := modelMessage(from, n, size)
	s := &sentMessage{p: bytes.Clone(p)}
	r.add(from, n, s)
	ctx, cancel := r.context(rnd)
	defer cancel()
	var err error
	switch rnd.IntN(7) {
	case 0, 1, 2:
		err = r.c.Write(ctx, Binary, p)
	case 3:
		err = r.c.WriteUncompressed(ctx, Binary, p)
	case 4, 5:
		err = r.c.Send(Binary, p)
		s.beneath = true
	default:
		m, merr := NewPreparedMessage(Binary, p)
		if merr != nil {
			r.fail("%v", merr)
			return
		}
		if before := bytes.Clone(m.plain); rnd.IntN(2) == 0 {
			err = r.c.WritePrepared(ctx, m)
			if !bytes.Equal(before, m.plain) {
				r.fail("a prepared message has changed")
			}
		} else {
			err = r.c.SendPrepared(m)
			s.beneath = true
		}
	}
	for i := range p { // it is ours again
		p[i] = 0xee
	}
	s.err = err
}

// stream sends message n by a Writer, and in some cases not to its end.
func (r *modelRun) stream(from, n uint32, rnd *rand.Rand) {
	ctx, cancel := r.context(rnd)
	defer cancel()
	p := modelMessage(from, n, []int{20, 3000, 40_000}[rnd.IntN(3)])
	s := &sentMessage{p: p, stream: true, err: errors.New("not completed")}
	r.add(from, n, s)
	w, err := r.c.Writer(ctx, Binary)
	if err != nil {
		s.err = err
		return
	}
	for rest := p; len(rest) > 0 && err == nil; {
		k := min(len(rest), 1+rnd.IntN(20_000))
		_, err = w.Write(rest[:k])
		rest = rest[k:]
		if rnd.IntN(3) == 0 {
			time.Sleep(time.Duration(rnd.IntN(200)) * time.Microsecond)
		}
		if r.abandons && rnd.IntN(10) == 0 {
			return
		}
	}
	s.err = w.Close()
}

// work makes random calls.
func (r *modelRun) work(from uint32, rnd *rand.Rand) {
	sizes := []int{8, 30, 200, 4000, 12_000, 20_000, 70_000}
	for n := uint32(0); n < 25; n++ {
		switch k := rnd.IntN(20); {
		case k < 12:
			r.message(from, n, sizes[rnd.IntN(len(sizes))], rnd)
		case k < 14:
			r.stream(from, n, rnd)
		case k < 16 && !r.reads:
			ctx, cancel := r.context(rnd)
			r.c.Ping(ctx)
			cancel()
		case k < 17:
			ctx, cancel := r.context(rnd)
			select {
			case <-r.c.Drained():
			case <-ctx.Done():
			}
			cancel()
		case k < 18:
			r.c.Buffered()
			r.c.Stats()
		default:
			time.Sleep(time.Duration(rnd.IntN(300)) * time.Microsecond)
		}
	}
}
