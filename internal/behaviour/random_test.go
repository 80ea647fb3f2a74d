package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// TestRandomCalls makes random calls of the whole API on both sides of many
// connections, ends them at random, and compares what happened with a model:
//
//   - Messages of one goroutine arrive in order, each at most once.
//   - Accepted messages that did not arrive are the last ones of their goroutine.
//   - All accepted messages of a side that closed gracefully have arrived.
//   - Refused messages have not arrived, unless the error says that they may.
//   - Every call returns, and both sides tell the right cause.
func TestRandomCalls(t *testing.T) {
	seed := rand.Uint64()
	if v := os.Getenv("BEHAVIOUR_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("BEHAVIOUR_SEED=%d", seed)
	const rigs = 4*3 + 1
	budget := seconds("BEHAVIOUR_SECONDS", 2) / rigs / 2
	for i, compression := range []*websocket.CompressionOptions{nil, {}} {
		opts := calm()
		opts.ReadLimit = 1 << 20
		opts.Compression = compression
		t.Run([]string{"plain", "compressed"}[i], func(t *testing.T) {
			n := uint64(0)
			overPairs(t, opts, func(t *testing.T, pair func(server program) (*websocket.Conn, *lib)) {
				for begin := time.Now(); ; {
					n++
					r := &round{t: t, id: fmt.Sprintf("round %d of seed %d", n, seed), rng: rand.New(rand.NewPCG(seed, n))}
					client, l := pair(program{hold: true, message: func(*lib, string) bool {
						if rand.IntN(8) == 0 { // one that is not from the seed, as it is used concurrently
							time.Sleep(100 * time.Microsecond)
						}
						return true
					}})
					r.run(client, l)
					if t.Failed() {
						return
					}
					if time.Since(begin) > budget {
						return
					}
				}
			})
		})
	}
}

// round is one connection of TestRandomCalls.
type round struct {
	t      *testing.T
	id     string
	rng    *rand.Rand
	end    int  // how it ends
	hasty  bool // some writes have contexts that end
	busy   bool // it ends while messages are being sent
	client *side
	server *side
}

// The ways to end.
const (
	clientCloses = iota
	serverCloses
	bothClose
	clientCuts
	serverCuts
	numEnds
)

func (r *round) String() string {
	return fmt.Sprintf("%s: end %d, hasty %v, busy %v", r.id, r.end, r.hasty, r.busy)
}

func (r *round) run(client *websocket.Conn, l *lib) {
	t := r.t
	r.end, r.hasty, r.busy = r.rng.IntN(numEnds), r.rng.IntN(3) == 0, r.rng.IntN(2) == 0
	defer func() {
		if t.Failed() {
			t.Log(r)
		}
	}()
	r.client = newSide(r, "c", client)
	r.server = newSide(r, "s", l.c())
	readerRng := rand.New(rand.NewPCG(r.rng.Uint64(), 0))
	readErr := do(func() error { return r.client.read(readerRng) })
	var senders sync.WaitGroup
	for _, s := range []*side{r.client, r.server} {
		for i := range len(s.senders) {
			rng := rand.New(rand.NewPCG(r.rng.Uint64(), 0))
			senders.Go(func() { s.senders[i].run(rng) })
		}
	}
	sent := make(chan struct{})
	go func() {
		senders.Wait()
		close(sent)
	}()
	if r.busy {
		time.Sleep(time.Duration(r.rng.IntN(2000)) * time.Microsecond)
	} else {
		wait(t, "all senders", sent)
	}
	var clientErr, serverErr <-chan error
	closing := func(s *side, code websocket.StatusCode) <-chan error {
		return do(func() error { return s.c.Close(code, s.name) })
	}
	switch r.end {
	case clientCloses:
		clientErr = closing(r.client, 4001)
	case serverCloses:
		serverErr = closing(r.server, 4002)
	case bothClose:
		clientErr, serverErr = closing(r.client, 4001), closing(r.server, 4002)
	case clientCuts:
		r.client.c.CloseNow()
	case serverCuts:
		r.server.c.CloseNow()
	}
	graceful := true
	for what, ch := range map[string]<-chan error{"the client's Close": clientErr, "the server's Close": serverErr} {
		if ch == nil {
			continue
		}
		if err := wait(t, what, ch); err != nil {
			graceful = false
			if !r.hasty {
				t.Errorf("%s returned %v; the other side's causes: client %v, server %v", what, err,
					context.Cause(r.client.c.Context()), context.Cause(r.server.c.Context()))
			}
		}
	}
	wait(t, "all calls", sent)
	err := wait(t, "the client's reading", readErr)
	l.letGo()
	serverCause := l.cause(t)
	client.CloseNow()
	r.server.got = l.messages(t)
	r.judge(graceful, err, serverCause)
}

// judge compares with the model. graceful says that no Close failed.
func (r *round) judge(graceful bool, clientErr error, serverCause *websocket.CloseError) {
	t := r.t
	var clientCause *websocket.CloseError
	if !errors.As(clientErr, &clientCause) || !same(context.Cause(r.client.c.Context()), clientCause) {
		t.Errorf("the client read %v, and the context's cause is %v", clientErr, context.Cause(r.client.c.Context()))
		return
	}
	r.client.received(r.server, graceful && r.end == serverCloses)
	r.server.received(r.client, graceful && r.end == clientCloses)
	if !graceful {
		return
	}
	type end struct {
		code   websocket.StatusCode
		remote bool
	}
	c, s := end{clientCause.Code, clientCause.Remote}, end{serverCause.Code, serverCause.Remote}
	ok := false
	switch r.end {
	case clientCloses:
		ok = c == end{4001, false} && s == end{4001, true}
	case serverCloses:
		ok = c == end{4002, true} && s == end{4002, false}
	case bothClose:
		ok = (c == end{4001, false} || c == end{4002, true}) && (s == end{4001, true} || s == end{4002, false})
	default:
		ok = c.code == 1006 && s.code == 1006
	}
	if !ok {
		t.Errorf("the causes are %v (remote %v) and %v (remote %v)", clientCause, c.remote, serverCause, s.remote)
	}
}
