package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
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
