package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.MainOfFew(m)) }

// arena is a server on a loopback port, whose time is the test's.
type arena struct {
	*server
	t     *testing.T
	url   string
	times chan time.Time
	now   time.Time
}

const testRate = 30

func start(t *testing.T, players int) *arena {
	t.Helper()
	a := &arena{t: t, times: make(chan time.Time), now: time.Now()}
	s, err := newServer(testRate, players, 1, a.times)
	if err != nil {
		t.Fatal(err)
	}
	a.server, a.url = s, serve(t, s)
	return a
}

// serve serves s until the test is over.
func serve(t *testing.T, s *server) (url string) {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = s.httpServer()
	ts.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		ts.Close()
	})
	return ts.URL
}

// tick makes one tick, and returns when its snapshot has been sent.
func (a *arena) tick() {
	a.times <- a.now
	a.times <- a.now // no more ticks are due, but when this is taken the other is done
	a.now = a.now.Add(time.Second / testRate)
}

// page is a client, for a test that fails when anything does.
type page struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

// dial connects to the game as a page of its own would.
func dial(t *testing.T, url string, client *http.Client) *page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{
		Header: http.Header{"Origin": {url}}, HTTPClient: client,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	p := &page{t, ctx, conn}
	if h := expect[hello](p); h.rate != testRate {
		t.Errorf("the server says %+v", h)
	}
	return p
}

// next returns the next message.
func (p *page) next() any {
	p.t.Helper()
	typ, b, err := p.conn.Read(p.ctx)
	if err == nil && typ != websocket.Binary {
		err = errors.New("it is a text")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	msg, err := parseOutgoing(b, new(snapshot))
	if err != nil {
		p.t.Fatalf("% x: %v", b, err)
	}
	return msg
}

// expect returns the next message of a type, and skips others.
func expect[T any](p *page) T {
	p.t.Helper()
	for {
		if msg, ok := p.next().(T); ok {
			return msg
		}
	}
}

func (p *page) send(msg interface{ append([]byte) []byte }) {
	p.t.Helper()
	if err := p.conn.Write(p.ctx, websocket.Binary, msg.append(nil)); err != nil {
		p.t.Fatal(err)
	}
}

// arrive returns when the server has handled all that was sent so far.
func (p *page) arrive() pong {
	p.t.Helper()
	p.send(ping{42})
	answer := expect[pong](p)
	if answer.time != 42 {
		p.t.Fatalf("the answer to ping 42 is %+v", answer)
	}
	return answer
}

// join enters the pond.
func (p *page) join(a *arena, name string) (id uint8) {
	p.t.Helper()
	p.send(join{koi: 3, name: name})
	p.arrive()
	a.tick()
	return expect[welcome](p).id
}

// find returns the koi with an id, or nil.
func (s *snapshot) find(id uint8) *koiState {
	for i := range s.koi {
		if s.koi[i].id == id {
			return &s.koi[i]
		}
	}
	return nil
}

// untilGone waits until the server has seen connections end, and as many are
// left as the test wants.
func (a *arena) untilGone(left int) {
	a.t.Helper()
	events := a.ws.Events.(*events)
	until(a.t, func() bool {
		n := 0
		events.clients.Range(func(any, any) bool { n++; return true })
		return n == left
	})
}

// until waits until something is true that no event tells.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for too long")
		}
	}
}

// closing returns the code and the reason that the server closes with.
func (p *page) closing() (websocket.StatusCode, string) {
	p.t.Helper()
	for {
		if _, _, err := p.conn.Read(p.ctx); err != nil {
			var e *websocket.CloseError
			if !errors.As(err, &e) || !e.Remote {
				p.t.Fatal(err)
			}
			return e.Code, e.Reason
		}
	}
}
