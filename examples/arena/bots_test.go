package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Bots come over the network, eat, and leave when they are told to.
func TestBots(t *testing.T) {
	s, err := newServer(60, 40, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, s)
	bots, err := startBots(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/ws", 30, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer bots.close()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	p := &page{t, ctx, conn}
	names := make(map[string]bool)
	for r := expect[roster](p); len(r) < 30; r = expect[roster](p) {
	}
	for {
		if r, ok := p.next().(roster); ok {
			t.Fatalf("the roster changes: %+v", r)
		}
		s := expect[*snapshot](p)
		fed := 0
		for _, k := range s.koi {
			if k.score > 0 {
				fed++
			}
		}
		if fed >= 15 { // half of them
			break
		}
	}
	late := &page{t, ctx, nil}
	if late.conn, _, err = websocket.Dial(ctx, url+"/ws", nil); err != nil {
		t.Fatal(err)
	}
	defer late.conn.CloseNow()
	for _, person := range expect[roster](late) {
		if !person.bot {
			t.Errorf("%q does not say that it is a program", person.name)
		}
		names[person.name] = true
	}
	if len(names) != 30 {
		t.Errorf("there are %d names", len(names))
	}

	if err := bots.close(); err != nil {
		t.Error(err)
	}
	for s := expect[*snapshot](p); len(s.koi) > 0; s = expect[*snapshot](p) {
	}
}

// Bots whose server goes away come back when there is one again.
func TestBotsComeBack(t *testing.T) {
	first, err := newServer(30, 10, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var present atomic.Pointer[server]
	present.Store(first)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		present.Load().ServeHTTP(w, r)
	}))
	defer ts.Close()
	bots, err := startBots(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+"/ws", 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer bots.close()
	// The address stays, and another server answers there.
	second, err := newServer(45, 10, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.shutdown(t.Context())
	present.Store(second)
	if err := first.shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(t.Context(), ts.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p := &page{t, ctx, conn}
	for r := expect[roster](p); len(r) < 3; r = expect[roster](p) {
	}
	for s := expect[*snapshot](p); ; s = expect[*snapshot](p) {
		moving := 0
		for _, k := range s.koi {
			if k.ack > 0 {
				moving++
			}
		}
		if moving == 3 {
			return
		}
	}
}

func TestBotsWithoutServer(t *testing.T) {
	ts := httptest.NewServer(nil)
	url := "ws" + strings.TrimPrefix(ts.URL, "http") + "/ws"
	bots, err := startBots(t.Context(), url, 3, 1)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a server that is none: %v, %v", bots, err)
	}
	ts.Close()
	if bots, err := startBots(t.Context(), url, 3, 1); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("no server: %v, %v", bots, err)
	}
}

// A server of another kind is left, and not asked for a reason.
func TestBotsAmongStrangers(t *testing.T) {
	for _, msg := range []struct {
		typ  websocket.MessageType
		data string
	}{{websocket.Binary, "\x01\x02\x1e"}, {websocket.Text, "\x01\x01\x1e"}, {websocket.Binary, "{}"}} {
		left := make(chan error, 1)
		ws := &websocket.Server{Handler: func(c *websocket.Conn) {
			for range 20 {
				c.Write(c.Context(), msg.typ, []byte(msg.data))
			}
			_, _, err := c.Read(context.Background())
			left <- err
		}}
		ts := httptest.NewServer(ws)
		bots, err := startBots(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http"), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-left; websocket.CloseCode(err) != websocket.StatusPolicyViolation {
			t.Errorf("after %q it leaves with %v", msg.data, err)
		}
		if err := bots.close(); err != nil {
			t.Error(err)
		}
		ws.Close()
		ts.Close()
	}
}

// Bots whom nobody lets in try again, less and less often.
func TestBotsRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &botGroup{ctx: t.Context(), idle: make(chan *bot, 1)}
		b := &bot{botGroup: s}
		for i, seconds := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
			from := time.Now()
			b.OnClose(nil, errors.New("the pond is full"))
			<-s.idle
			if got := time.Since(from); got != seconds*time.Second {
				t.Errorf("attempt %d comes after %v", i, got)
			}
		}
	})
}

func TestBotNames(t *testing.T) {
	seen := make(map[string]bool)
	for i := range maxPlayers {
		name := botName(i)
		if err := checkName(name); err != nil || seen[name] {
			t.Errorf("the name of bot %d is %q: %v", i, name, err)
		}
		seen[name] = true
	}
}

// A brain sees what is in front of it.
func TestBrain(t *testing.T) {
	m := newMotion(30)
	me := koiState{id: 1, body: body{score: 10}}
	ready := func() *brain {
		b := newBrain(1)
		b.restTime, b.bold = 0, 1
		return b
	}
	decide := func(b *brain, s *snapshot) steering {
		return b.decide(&m, s, &s.koi[0])
	}
	victim := koiState{id: 2, body: body{x: 150, score: 10}}
	ahead := &snapshot{koi: []koiState{me, victim}}
	if s := decide(ready(), ahead); !s.dart || int8(s.dir) > 8 || int8(s.dir) < -8 {
		t.Errorf("it does not attack: %+v", s)
	}
	for name, change := range map[string]func(s *snapshot){
		"shield":   func(s *snapshot) { s.koi[1].shield = true },
		"dazed":    func(s *snapshot) { s.koi[1].daze = 2 },
		"poor":     func(s *snapshot) { s.koi[1].score = 1 },
		"far":      func(s *snapshot) { s.koi[1].x = sight + 1 },
		"behind":   func(s *snapshot) { s.koi[1].x = -150 },
		"not able": func(s *snapshot) { s.koi[0].dart = 3 },
	} {
		s := &snapshot{koi: []koiState{me, victim}}
		change(s)
		if got := decide(ready(), s); got.dart {
			t.Errorf("%s: it attacks", name)
		}
	}
	// It turns aside from an attacker, not always.
	victim.vx, victim.dart = -700, m.dartFirst
	attack := &snapshot{koi: []koiState{me, victim}}
	b, aside := newBrain(1), 0
	for range 100 {
		if dir := decide(b, attack).dir; dir == 64 || dir == 192 {
			aside++
		}
	}
	if aside < 20 || aside > 80 {
		t.Errorf("it turns aside %d times of 100", aside)
	}
	// It goes to the only crumb, wherever that is, unless it would go round it.
	rng := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		c := crumb{uint8(rng.Uint32()), uint8(rng.Uint32()), 1}
		x, y := c.at()
		if x*x+y*y < 100*100 {
			continue
		}
		s := &snapshot{koi: []koiState{me}, crumbs: []crumb{c}}
		if got := decide(newBrain(1), s); got.dir != headingOf(x, y) || got.throttle < 100 {
			t.Errorf("to a crumb at %v, %v it swims %+v", x, y, got)
		}
	}
	side := &snapshot{koi: []koiState{me}, crumbs: []crumb{{128, 130, 1}}}
	if got := decide(newBrain(1), side); got.throttle > 128 {
		t.Errorf("it goes round a crumb: %+v", got)
	}
	// With nothing to do it stays away from the bank.
	edge := &snapshot{koi: []koiState{{id: 1, body: body{x: pondRadius - 30}}}}
	if got := decide(newBrain(1), edge); got.dir != 128 {
		t.Errorf("by the bank it swims %+v", got)
	}
}
