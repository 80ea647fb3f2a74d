package websocket

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestQueueSockets is TestQueueModel on all kinds of connections, those of a Loop
// among them, with as little room as the system allows. The clock is the real one,
// so that of a connection that is cut off only the order is checked.
func TestQueueSockets(t *testing.T) {
	limit := 300 * time.Millisecond
	if d, err := time.ParseDuration(os.Getenv("QUEUE_TIME")); err == nil {
		limit = d
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			n := 0
			for start := time.Now(); !t.Failed() && (n < 4 || time.Since(start) < limit); n++ {
				seed := rand.Uint64()
				if s, err := strconv.ParseUint(os.Getenv("QUEUE_SEED"), 10, 64); err == nil {
					seed = s
				}
				runSockets(t, k, seed)
			}
			t.Logf("%d schedules", n)
		})
	}
}

// socketRun is a connection over a kind of transport, with a peer that reads slowly.
type socketRun struct {
	modelRun
	peer net.Conn
	wire []byte
	mu   sync.Mutex // for what is written to peer
	over chan struct{}
}

func runSockets(t *testing.T, k kind, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := &socketRun{over: make(chan struct{})}
	r.seed, r.rnd, r.failed = seed, rnd, make(chan string, 1)
	r.sent = make(map[[2]uint32]*sentMessage)
	r.cfg = connConfig{opts: Options{PingInterval: -1, CloseTimeout: 2 * time.Second}.withDefaults()}
	if rnd.IntN(2) == 0 {
		r.cfg.agreement = compressing(&compression{Level: 1, Threshold: 64, SendBits: 15, RecvBits: 15, SendTakeover: rnd.IntN(3) > 0})
	}
	r.abandons, r.reads = rnd.IntN(4) == 0, true // there is nobody who answers pings
	a, b := k.pair(t)
	for _, nc := range []net.Conn{a, b} {
		if tcp := wstest.TCPUnder(nc); tcp != nil {
			tcp.SetWriteBuffer(4096)
		}
	}
	r.peer = a
	defer a.Close()
	r.c = newConn(b, r.cfg)
	defer func() {
		if t.Failed() {
			t.Logf("QUEUE_SEED=%d", seed)
		}
	}()
	watchdog := time.AfterFunc(30*time.Second, func() {
		buf := make([]byte, 1<<20)
		panic(fmt.Sprintf("QUEUE_SEED=%d: a call does not return\n%s", seed, buf[:runtime.Stack(buf, true)]))
	})
	defer watchdog.Stop()
	var n uint32
	answer := func(c *Conn, _ MessageType, _ []byte) {
		r.message(0, n, 10+int(n%7)*40, rand.New(rand.NewPCG(seed, uint64(n))))
		n++
	}
	if k.loop {
		attach(t, newTestLoop(t, 1), r.c, funcHandler{Message: answer})
	} else {
		r.wg.Go(func() {
			for {
				if _, _, err := r.c.Read(bg); err != nil {
					return
				}
				answer(r.c, Binary, nil)
			}
		})
	}
	r.run(t)
}

func (r *socketRun) run(t *testing.T) {
	rnd := r.rnd
	r.wg.Go(func() { r.receive(rand.New(rand.NewPCG(r.seed, 2))) })
	r.wg.Go(func() { r.feed(rand.New(rand.NewPCG(r.seed, 3))) })
	var work sync.WaitGroup
	for i := range 2 + rnd.IntN(3) {
		work.Go(func() { r.work(uint32(i+1), rand.New(rand.NewPCG(r.seed, uint64(i)+4))) })
	}
	if rnd.IntN(2) == 0 && !r.abandons {
		work.Wait()
	} else {
		time.Sleep(time.Duration(rnd.IntN(5000)) * time.Microsecond)
	}
	way := r.end(rnd)
	<-r.c.ended()
	close(r.over)
	work.Wait()
	<-r.c.Drained()
	r.wg.Wait()
	select {
	case text := <-r.failed:
		t.Errorf("%s: %s", way, text)
	default:
	}
	if err := r.check(r.wire, r.cfg, r.c.currentTransport().Exact(), false); err != nil {
		t.Errorf("%s, compression %+v: %v", way, r.cfg.extensions.Deflate, err)
	}
	if n := r.c.Buffered(); n != 0 {
		t.Errorf("%s: %d bytes are buffered in the end", way, n)
	}
	accepted, possible := r.counts()
	if n := r.c.Stats().MessagesWritten; n < accepted || n > possible {
		t.Errorf("%s: %d messages were written by the statistics, of %d to %d", way, n, accepted, possible)
	}
}

// receive reads what arrives at the peer until the end, some of it slowly.
func (r *socketRun) receive(rnd *rand.Rand) {
	p := make([]byte, 1+rnd.IntN(8192))
	for slow := rnd.IntN(40); ; slow-- {
		n, err := r.peer.Read(p)
		r.wire = append(r.wire, p[:n]...)
		if err != nil {
			return
		}
		if slow > 0 {
			time.Sleep(time.Duration(rnd.IntN(200)) * time.Microsecond)
		}
	}
}

func (r *socketRun) write(frames ...[]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peer.SetWriteDeadline(time.Now().Add(5 * time.Second))
	r.peer.Write(bytes.Join(frames, nil)) // the connection may have ended
}

// feed sends batches of messages and pings.
func (r *socketRun) feed(rnd *rand.Rand) {
	for range 20 {
		var batch [][]byte
		for range rnd.IntN(5) {
			op := []Opcode{OpPing, OpBinary, OpBinary}[rnd.IntN(3)]
			batch = append(batch, frame(op, true, true, "something"))
		}
		r.write(batch...)
		select {
		case <-r.over:
			return
		case <-time.After(time.Duration(rnd.IntN(500)) * time.Microsecond):
		}
	}
}

func (r *socketRun) end(rnd *rand.Rand) (way string) {
	ways := []struct {
		name string
		do   func()
	}{
		{"Close", func() { r.wg.Go(func() { r.c.Close(StatusNormalClosure, "") }) }},
		{"CloseNow", func() { r.c.CloseNow() }},
		{"peer close", func() { r.write(closeFrame(true, StatusGoingAway, "")) }},
		{"violation", func() { r.write([]byte{0xff, 0xff, 0, 0, 0, 0}) }},
		{"EOF", func() { transport.CloseWrite(r.peer) }},
		{"closeWriteHalf", func() { r.c.closeWriteHalf() }},
	}
	for range 1 + rnd.IntN(2) {
		w := ways[rnd.IntN(len(ways))]
		way += w.name + " "
		w.do()
		if rnd.IntN(2) == 0 {
			time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
		}
	}
	r.wg.Go(func() { // the closing handshake is answered
		select {
		case <-r.over:
			return
		case <-time.After(20 * time.Millisecond):
		}
		r.write(closeFrame(true, StatusNormalClosure, ""))
		select {
		case <-r.over:
		case <-time.After(100 * time.Millisecond):
			r.c.CloseNow()
			transport.CloseWrite(r.peer) // which a connection that has told of a violation waits for
		}
	})
	return way
}

// TestFlushesDoNotMultiply: a connection whose input is over waits for room with one
// goroutine.
func TestFlushesDoNotMultiply(t *testing.T) {
	for _, k := range kinds {
		if !k.loop || k.name == "loop pipe" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, Options{CloseTimeout: time.Second})
			attach(t, newTestLoop(t, 1), c, funcHandler{})
			for c.Buffered() < 64<<10 { // the peer reads nothing
				if err := c.Send(Binary, make([]byte, 32<<10)); err != nil {
					t.Fatal(err)
				}
			}
			before := runtime.NumGoroutine()
			transport.CloseWrite(peer)
			<-c.Context().Done()
			time.Sleep(20 * time.Millisecond)
			if n := runtime.NumGoroutine() - before; n > 20 {
				t.Errorf("%d goroutines more", n)
			}
			go io.Copy(io.Discard, peer)
			<-c.ended()
		})
	}
}
