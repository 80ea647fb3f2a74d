package main

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestEverythingArrives(t *testing.T) {
	s, url := start(t, config{instruments: 30, rate: 60, seed: 1})
	p := dial(t, url)
	p.catchUp(s.market)
	if p.received != 30 || p.skipped != 0 {
		t.Errorf("a newcomer gets %d trades, %d skipped", p.received, p.skipped)
	}
	_, before := s.market.stats()
	for range 50 {
		s.steps(1)
		p.catchUp(s.market)
	}
	_, now := s.market.stats()
	if want := int(now-before) + 30; p.received != want || p.skipped != 0 || p.repeated != 0 {
		t.Errorf("%d trades, %d skipped, %d repeated; want %d", p.received, p.skipped, p.repeated, want)
	}
	r := p.report()
	if r.sent != uint64(p.received) || r.conflated+r.dropped > 0 || r.pending > 0 || r.settings != (settings{}) {
		t.Errorf("the report is %+v", r)
	}
	// A newcomer finds the same market.
	q := dial(t, url)
	q.catchUp(s.market)
	if q.received != 30 {
		t.Errorf("a newcomer gets %d trades", q.received)
	}
}

// A slow page gets the newest of each instrument, and not what was before it,
// and the counters of both sides say so.
func TestSlowPage(t *testing.T) {
	s, url := start(t, config{instruments: 40, rate: 60, seed: 2})
	p := dial(t, url)
	p.catchUp(s.market)
	p.set(keepLatest, 20_000)
	if r := p.report(); r.settings != (settings{keepLatest, 20_000}) {
		t.Fatalf("the settings are %+v", r.settings)
	}
	_, before := s.market.stats()
	s.steps(600) // ten seconds, all at once
	p.catchUp(s.market)
	_, now := s.market.stats()
	published := int(now-before) + 40
	if p.received+p.skipped != published || p.repeated > 0 {
		t.Errorf("%d received, %d skipped, %d repeated of %d", p.received, p.skipped, p.repeated, published)
	}
	if p.skipped < published*3/4 {
		t.Errorf("of %d only %d were skipped", published, p.skipped)
	}
	r := p.report()
	if r.sent != uint64(p.received) || r.conflated != uint64(p.skipped) || r.dropped > 0 || r.pending > 0 {
		t.Errorf("the report is %+v, but %d received, %d skipped", r, p.received, p.skipped)
	}
	// At full speed nothing is skipped any more.
	p.set(keepLatest, 0)
	p.report()
	skipped := p.skipped
	for range 20 {
		s.steps(1)
		p.catchUp(s.market)
	}
	if p.skipped != skipped {
		t.Errorf("%d were skipped at full speed", p.skipped-skipped)
	}
}

// The same, with a page that does not read, and the buffers of real sockets.
func TestPageThatDoesNotRead(t *testing.T) {
	s, url := start(t, config{instruments: 200, rate: 60, seed: 3})
	// Small buffers, so that unread trades soon wait in the server.
	p := dialBy(t, url, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = c.(*net.TCPConn).SetReadBuffer(32 << 10)
			}
			return c, err
		},
	}})
	quick := dial(t, url)
	quick.catchUp(s.market)
	// Until the hub has to leave something out, however large the buffers are.
	for s.stats().Hub.Conflated < 10_000 {
		for range 20 {
			s.steps(1)
			quick.catchUp(s.market)
		}
	}
	if quick.skipped > 0 {
		t.Errorf("the page that does read misses %d", quick.skipped)
	}
	p.catchUp(s.market)
	if p.received+p.skipped != quick.received || p.skipped < 10_000 {
		t.Errorf("%d received, %d skipped of %d", p.received, p.skipped, quick.received)
	}
	if r := p.report(); r.conflated != uint64(p.skipped) {
		t.Errorf("the report is %+v, %d skipped", r, p.skipped)
	}
}

// A page that wants all trades gets them, late.
func TestQueueAll(t *testing.T) {
	s, url := start(t, config{instruments: 40, rate: 60, seed: 4})
	p := dial(t, url)
	p.catchUp(s.market)
	p.set(queueAll, 20_000)
	p.report()
	_, before := s.market.stats()
	s.steps(600)
	_, now := s.market.stats()
	// The answer is not queued behind all of them.
	if r := p.report(); r.pending < int(now-before)/2 || r.settings != (settings{queueAll, 20_000}) {
		t.Errorf("the report is %+v after %d trades", r, now-before)
	}
	if len(p.unknown(s.market)) == 0 {
		t.Error("the page knows everything already")
	}
	p.set(queueAll, 0)
	p.catchUp(s.market)
	if want := int(now-before) + 40; p.received+p.repeated != want+40 || p.skipped > 0 {
		t.Errorf("%d received, %d repeated, %d skipped; want %d, and 40 repeated", p.received, p.repeated, p.skipped, want)
	}
}

// The queue has an end, and the newest is never what is left out.
func TestQueueAllIsBounded(t *testing.T) {
	s, url := start(t, config{instruments: maxInstruments, rate: 20, seed: 5})
	p := dial(t, url)
	p.catchUp(s.market)
	p.set(queueAll, 20_000)
	p.report()
	_, before := s.market.stats()
	for s.stats().Hub.Dropped < 1000 {
		s.steps(50)
	}
	if r := p.report(); r.pending != queueDepth || r.dropped < 1000 {
		t.Errorf("the report is %+v", r)
	}
	p.set(queueAll, 0)
	p.catchUp(s.market)
	// All are accounted for: those that were published, and one of each for
	// each of the two subscriptions.
	_, now := s.market.stats()
	r := p.report()
	if got, want := r.sent+r.dropped, now-before+2*maxInstruments; got != want || r.pending+int(r.conflated) > 0 {
		t.Errorf("%+v: %d in all, want %d", r, got, want)
	}
	if r.sent != uint64(p.received+p.repeated) || p.skipped == 0 || p.skipped > int(r.dropped) {
		t.Errorf("%+v, but %d received, %d repeated, %d skipped", r, p.received, p.repeated, p.skipped)
	}
}

// A page that changes settings all the time misses only trades that were replaced,
// and the counters still add up.
func TestChangingSettings(t *testing.T) {
	s, url := start(t, config{instruments: 60, rate: 60, seed: 6})
	p := dial(t, url)
	p.catchUp(s.market)
	_, before := s.market.stats()
	ctx, stop := context.WithCancel(t.Context())
	var trading sync.WaitGroup
	trading.Go(func() {
		for ctx.Err() == nil {
			s.steps(1)
		}
	})
	subscriptions := 1
	for i := range 8 {
		policy := policy(i+1) % policies
		p.set(policy, []int{20_000, 0, 50_000}[i%3])
		subscriptions++
		if r := p.report(); r.settings.policy != policy {
			t.Fatalf("the policy is %v", r.settings.policy)
		}
		// Meanwhile the page does not read, until something had to wait.
		for waits := func() uint64 {
			v := s.stats().Visitors[0]
			return v.Conflated + v.Dropped + uint64(v.Pending)
		}; waits() < p.last.conflated+p.last.dropped+50; {
			runtime.Gosched()
		}
	}
	stop()
	trading.Wait()
	p.set(keepLatest, 0)
	p.catchUp(s.market)
	_, now := s.market.stats()
	if got, want := p.received+p.skipped, int(now-before)+60; got != want {
		t.Errorf("%d received, %d skipped, %d in all of %d", p.received, p.skipped, got, want)
	}
	r := p.report()
	if r.sent != uint64(p.received+p.repeated) {
		t.Errorf("%d sent, %d received and %d repeated", r.sent, p.received, p.repeated)
	}
	// Each subscription begins with one of each.
	if got, want := r.sent+r.conflated+r.dropped, now-before+uint64(60*subscriptions); got != want || r.pending > 0 {
		t.Errorf("%+v: %d in all, want %d", r, got, want)
	}
}

// A breach of the protocol closes the page's connection, with the reason.
func TestMisuse(t *testing.T) {
	s, url := start(t, config{instruments: 5, rate: 10, seed: 1})
	bystander := dial(t, url)
	for _, c := range []struct {
		name   string
		typ    websocket.MessageType
		data   []byte
		times  int
		code   websocket.StatusCode
		reason string
	}{
		{"text", websocket.Text, []byte("hello"), 1, websocket.StatusUnsupportedData, "text messages"},
		{"empty", websocket.Binary, nil, 1, websocket.StatusPolicyViolation, "empty"},
		{"kind", websocket.Binary, []byte{7}, 1, websocket.StatusPolicyViolation, "unknown kind 7"},
		{"cut off", websocket.Binary, []byte{kindPing, 0}, 1, websocket.StatusPolicyViolation, "ping: 2 bytes"},
		{"rate", websocket.Binary, []byte{kindSettings, 0, 0, 0, 0, 9}, 1, websocket.StatusPolicyViolation, "a rate of 9"},
		{"too big", websocket.Binary, make([]byte, 65), 1, websocket.StatusMessageTooBig, ""},
		{"flood", websocket.Binary, appendFloat([]byte{kindPing}, 1), 1000, websocket.StatusPolicyViolation, "too many messages"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, url)
			for range c.times {
				if p.conn.Write(t.Context(), c.typ, c.data) != nil {
					break // it has been sent away already
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var err error
			for err == nil {
				_, _, err = p.conn.Read(ctx)
			}
			if code := websocket.CloseCode(err); code != c.code || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("ended with %v, want %v and %q", err, c.code, c.reason)
			}
		})
	}
	s.steps(10)
	bystander.catchUp(s.market)
	if n := len(s.stats().Visitors); n < 1 {
		t.Errorf("%d visitors", n)
	}
}
