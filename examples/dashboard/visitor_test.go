package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// start starts the dashboard on a loopback port. Its market makes a step when
// the test does.
func start(t *testing.T, c config) (*server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(newMarket(c), true)
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(ln) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		serving.Wait()
	})
	return s, "http://" + ln.Addr().String()
}

// steps has the market make many steps at once.
func (s *server) steps(n int) {
	for range n {
		s.market.step()
	}
}

// state returns how an instrument is.
func (m *market) state(i int) trade {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := &m.sim.instruments[i]
	return trade{i, in.seq, 0, in.price, in.high, in.low, in.volume}
}

// page is a client that counts as the real page does.
type page struct {
	*testing.T
	conn  *websocket.Conn
	hello hello
	known []trade // the newest of each instrument; without a time if there is none
	last  report

	received, skipped, repeated, reports int
}

// dial connects as a page does.
func dial(t *testing.T, url string) *page {
	t.Helper()
	return dialBy(t, url, nil)
}

func dialBy(t *testing.T, url string, client *http.Client) *page {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{
		HTTPClient: client,
		Header:     http.Header{"Origin": {url}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	p := &page{T: t, conn: conn}
	if p.hello, err = parseHello(p.read()); err != nil {
		t.Fatal(err)
	}
	p.known = make([]trade, len(p.hello.instruments))
	return p
}

func (p *page) read() []byte {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 30*time.Second)
	defer cancel()
	typ, b, err := p.conn.Read(ctx)
	if err != nil || typ != websocket.Binary {
		p.Fatalf("%v, %v", typ, err)
	}
	return b
}

// next reads a message, which is a trade or a report.
func (p *page) next() {
	p.Helper()
	b := p.read()
	if b[0] == kindReport {
		r, err := parseReport(b)
		if err != nil {
			p.Fatal(err)
		}
		p.last = r
		p.reports++
		return
	}
	t, err := parseTrade(b)
	if err != nil {
		p.Fatal(err)
	}
	old := &p.known[t.id]
	switch {
	case old.low == 0:
		p.received++
	case t.seq <= old.seq:
		p.repeated++
		if t.seq == old.seq && t != *old {
			p.Fatalf("%+v is repeated as %+v", *old, t)
		}
		return
	default:
		p.received++
		p.skipped += int(t.seq-old.seq) - 1
		if t.time < old.time || t.volume <= old.volume {
			p.Fatalf("%+v comes after %+v", t, *old)
		}
	}
	*old = t
}

// unknown returns the instruments of which the page does not know the newest.
func (p *page) unknown(m *market) (ids []int) {
	for i, known := range p.known {
		now := m.state(i)
		now.time = known.time
		if known != now {
			ids = append(ids, i)
		}
	}
	return ids
}

// catchUp reads until the page knows everything. The market rests meanwhile.
func (p *page) catchUp(m *market) {
	p.Helper()
	ids := p.unknown(m)
	for len(ids) > 0 {
		last := ids[len(ids)-1]
		if p.known[last].low > 0 && p.known[last].seq == m.state(last).seq {
			ids = ids[:len(ids)-1]
			continue
		}
		p.next()
	}
	if ids := p.unknown(m); len(ids) > 0 {
		p.Fatalf("instrument %d is known as %+v, but is %+v", ids[0], p.known[ids[0]], m.state(ids[0]))
	}
}

func (p *page) send(b []byte) {
	p.Helper()
	if err := p.conn.Write(p.Context(), websocket.Binary, b); err != nil {
		p.Fatal(err)
	}
}

func (p *page) set(policy policy, rate int) {
	p.Helper()
	p.send(binary.BigEndian.AppendUint32([]byte{kindSettings, byte(policy)}, uint32(rate)))
}

// report asks for a report and reads until it comes.
func (p *page) report() report {
	p.Helper()
	n := p.reports
	p.send(appendFloat([]byte{kindPing}, float64(n)))
	for p.reports == n {
		p.next()
	}
	if p.last.echo != float64(n) {
		p.Fatalf("ping %d was answered by %v", n, p.last.echo)
	}
	return p.last
}

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
