package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestJoinMoveLeave(t *testing.T) {
	a := start(t, 10)
	ada, bo := dial(t, a.url, nil), dial(t, a.url, nil)
	a.tick()
	// A visitor that has not joined can watch.
	if s := expect[*snapshot](bo); len(s.koi) != 0 || len(s.crumbs) < 50 {
		t.Errorf("the empty pond has %d koi and %d crumbs", len(s.koi), len(s.crumbs))
	}
	id := ada.join(a, "Ada")
	if r := expect[roster](ada); len(r) != 1 || r[0] != (person{id, 3, false, "Ada"}) {
		t.Errorf("the roster is %+v", r)
	}
	before := expect[*snapshot](ada).find(id)
	if before == nil || before.ack != 0 || !before.shield {
		t.Fatalf("the new koi is %+v", before)
	}

	// A page that applies the server's rules predicts the position of its koi
	// exactly.
	m := newMotion(testRate)
	own := before.body
	for i := range 45 {
		s := steer{uint8(i + 1), steering{dir: uint8(3 * i), throttle: 200, dart: i == 20}}
		ada.send(s)
		ada.arrive()
		a.tick()
		m.advance(&own, s.steering)
		got := expect[*snapshot](ada).find(id)
		own.score = got.score // what it eats is the server's to say
		if got.ack != s.seq || got.body != own {
			t.Fatalf("input %d: the koi is %+v, want %+v", i, got, own)
		}
	}
	if own.x == before.x || own.y == before.y {
		t.Errorf("it has not moved from %v, %v", own.x, own.y)
	}

	// Everybody sees the same.
	for {
		b := expect[*snapshot](bo)
		if k := b.find(id); k != nil && k.ack == 45 {
			if k.body != own {
				t.Errorf("the other sees %+v, not %+v", k, own)
			}
			break
		}
	}
	ada.conn.Close(websocket.StatusNormalClosure, "")
	a.untilGone(1)
	for range testRate { // the next roster is due within that time
		a.tick()
	}
	if r := expect[roster](bo); len(r) != 0 {
		t.Errorf("the roster is %+v", r)
	}
	if s := expect[*snapshot](bo); len(s.koi) != 0 {
		t.Errorf("there is %+v", s.koi)
	}
}

// A connection that does not read misses snapshots, and no other does.
func TestSlowReader(t *testing.T) {
	a := start(t, maxPlayers)
	for i := range 180 { // large snapshots
		a.game.world.join(join{name: botName(i)})
	}
	small := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				c.(*net.TCPConn).SetReadBuffer(8 << 10)
			}
			return c, err
		},
	}}
	slow, fast := dial(t, a.url, small), dial(t, a.url, nil)
	slow.send(join{name: "Slow"})
	slow.arrive()
	a.tick()
	expect[*snapshot](fast)
	var client *client
	for c := range a.game.clients { // the game waits for the next tick
		if c.joined {
			client = c
		}
	}
	ticks := uint32(1)
	for ; client.skipped.Load() < 100; ticks++ {
		if ticks > 2000 {
			t.Fatal("nothing is skipped")
		}
		a.tick()
		if s := expect[*snapshot](fast); s.tick != ticks+1 {
			t.Fatalf("tick %d instead of %d", s.tick, ticks+1)
		}
	}
	if n := client.conn.Buffered(); n > maxBuffered+8<<10 {
		t.Errorf("%d bytes wait for it, of snapshots that are of no use any more", n)
	}
	if n := fast.arrive().skipped; n != 0 {
		t.Errorf("one that reads has missed %d", n)
	}

	// Now it reads: first what was under way, and then what is new, with a gap
	// in between and nothing else missing.
	skipped := slow.arrive().skipped
	if skipped < 100 {
		t.Errorf("the page hears of %d, but 100 were skipped", skipped)
	}
	a.tick()
	if s := expect[*snapshot](slow); s.tick != ticks+1 {
		t.Errorf("then comes tick %d, not %d", s.tick, ticks+1)
	}
	if again := slow.arrive().skipped; again != skipped {
		t.Errorf("%d are skipped now, were %d", again, skipped)
	}
}

// Names are known when the koi are seen, and two hundred that come are not two
// hundred rosters.
func TestRosters(t *testing.T) {
	a := start(t, maxPlayers)
	p := dial(t, a.url, nil)
	a.tick()
	if r, ok := p.next().(roster); !ok || len(r) != 0 {
		t.Fatalf("first comes %+v", r)
	}
	rosters := 0
	for range testRate {
		a.game.world.join(join{name: "x"}) // the game waits for the next tick
		a.tick()
		for {
			msg := p.next()
			if _, ok := msg.(roster); ok {
				rosters++
			} else if _, ok := msg.(*snapshot); ok {
				break
			}
		}
	}
	if rosters < rosterEvery-1 || rosters > rosterEvery+1 {
		t.Errorf("%d rosters in a second", rosters)
	}
}

// A game that was held up makes up for it, to a degree.
func TestCatchUp(t *testing.T) {
	a := start(t, 1)
	p := dial(t, a.url, nil)
	a.tick()
	first := expect[*snapshot](p).tick
	a.now = a.now.Add(3 * time.Second / testRate)
	a.tick()
	if got := expect[*snapshot](p).tick - first; got != 4 {
		t.Errorf("%d ticks instead of 4", got)
	}
	a.now = a.now.Add(time.Hour)
	a.tick()
	if got := expect[*snapshot](p).tick - first; got != 4+maxCatchUp {
		t.Errorf("%d ticks instead of %d", got, 4+maxCatchUp)
	}
}

func TestMisbehaviour(t *testing.T) {
	a := start(t, 10)
	text := func(p *page) { p.conn.Write(p.ctx, websocket.Text, []byte("hello")) }
	raw := func(b ...byte) func(*page) {
		return func(p *page) { p.conn.Write(p.ctx, websocket.Binary, b) }
	}
	for _, c := range []struct {
		name   string
		do     func(p *page)
		code   websocket.StatusCode
		reason string
	}{
		{"text", text, websocket.StatusUnsupportedData, "binary"},
		{"empty", raw(), websocket.StatusPolicyViolation, "length"},
		{"unknown", raw(9), websocket.StatusPolicyViolation, "kind 0x9"},
		{"name", raw(0x81, 0, 0, ' '), websocket.StatusPolicyViolation, "superfluous space"},
		{"large", raw(make([]byte, maxIncoming+1)...), websocket.StatusMessageTooBig, ""},
		{"steering first", func(p *page) { p.send(steer{seq: 1}) }, websocket.StatusPolicyViolation, "join first"},
		{"joining twice", func(p *page) { p.join(a, "A"); p.send(join{name: "A"}) }, websocket.StatusPolicyViolation, "already"},
		{"repeated number", func(p *page) { p.join(a, "A"); p.send(steer{seq: 1}); p.send(steer{seq: 1}) }, websocket.StatusPolicyViolation, "sequence"},
		{"missing number", func(p *page) { p.join(a, "A"); p.send(steer{seq: 2}) }, websocket.StatusPolicyViolation, "sequence"},
		{"flood", func(p *page) {
			for range 5*2*testRate + 100 {
				p.conn.Send(websocket.Binary, ping{}.append(nil))
			}
		}, websocket.StatusPolicyViolation, "too many"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, a.url, nil)
			c.do(p)
			code, reason := p.closing()
			if code != c.code || !strings.Contains(reason, c.reason) {
				t.Errorf("closed with %v %q, want %v %q", code, reason, c.code, c.reason)
			}
		})
	}
	a.untilGone(0)
	a.tick()
	if n := a.game.world.count; n != 0 {
		t.Errorf("%d koi are left", n)
	}
}

// A page may send somewhat more than it should, and what was held up comes late.
func TestBucket(t *testing.T) {
	now := time.Now()
	b := newBucket(60, now)
	take := func(n int) (taken int) {
		for range n {
			if b.take(now) {
				taken++
			}
		}
		return taken
	}
	if n := take(1000); n != 300 {
		t.Errorf("%d at once, want 300", n)
	}
	now = now.Add(time.Second)
	if n := take(1000); n != 60 {
		t.Errorf("%d after a second, want 60", n)
	}
	now = now.Add(time.Hour)
	if n := take(1000); n != 300 {
		t.Errorf("%d after an hour, want 300", n)
	}
}

func TestFull(t *testing.T) {
	a := start(t, 1)
	ada, bo := dial(t, a.url, nil), dial(t, a.url, nil)
	ada.join(a, "Ada")
	bo.send(join{name: "Bo"})
	bo.arrive()
	a.tick()
	if code, reason := bo.closing(); code != websocket.StatusTryAgainLater || reason != errFull.reason {
		t.Errorf("closed with %v %q", code, reason)
	}
	ada.conn.Close(websocket.StatusNormalClosure, "")
	a.untilGone(0)
	dial(t, a.url, nil).join(a, "Cy")

	// There is an end to spectators as well.
	for range maxSpectators {
		dial(t, a.url, nil)
	}
	late := dial(t, a.url, nil)
	a.tick()
	if code, reason := late.closing(); code != websocket.StatusTryAgainLater || reason != errFull.reason {
		t.Errorf("closed with %v %q", code, reason)
	}
}

// All connections are closed with 1001, and the game ends.
func TestShutdown(t *testing.T) {
	a := start(t, 10)
	ada, bo := dial(t, a.url, nil), dial(t, a.url, nil)
	ada.join(a, "Ada")
	done := make(chan error)
	go func() { done <- a.shutdown(t.Context()) }()
	for _, p := range []*page{ada, bo} {
		if code, _ := p.closing(); code != websocket.StatusGoingAway {
			t.Errorf("closed with %v", code)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("(*game).run")) {
		t.Errorf("the game goes on:\n%s", stacks)
	}
}

// The game's own clock: snapshots come by themselves, numbered without a gap.
func TestClock(t *testing.T) {
	s, err := newServer(testRate, 10, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, serve(t, s), nil)
	last := expect[*snapshot](p).tick
	for range 10 {
		now := expect[*snapshot](p).tick
		if now <= last || now > last+maxCatchUp {
			t.Errorf("tick %d comes after %d", now, last)
		}
		last = now
	}
}

// Pages of other sites are kept out.
func TestForeignOrigin(t *testing.T) {
	a := start(t, 10)
	conn, resp, err := websocket.Dial(t.Context(), a.url+"/ws", &websocket.DialOptions{
		Header: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err == nil {
		conn.CloseNow()
		t.Fatal("let in")
	}
	if resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("refused with %v, %v", resp, err)
	}
}

func get(t *testing.T, url string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// All files are served, confined, and the page needs no others.
func TestPage(t *testing.T) {
	a := start(t, 10)
	err := fs.WalkDir(files, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, "web")
		if name == "/index.html" {
			name = "/"
		}
		resp, body := get(t, a.url+name)
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, content) {
			t.Errorf("%s is %s with %d bytes", name, resp.Status, len(body))
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("the policy of %s is %q", name, csp)
		}
		if regexp.MustCompile(`https?://`).Match(regexp.MustCompile(`http://www\.w3\.org/2000/svg`).ReplaceAll(content, nil)) {
			t.Errorf("%s names another site", name)
		}
		for _, ref := range regexp.MustCompile(`(?:from '\./|href="|src=")([^'"]+)`).FindAllSubmatch(content, -1) {
			if _, err := files.ReadFile("web/" + string(ref[1])); err != nil {
				t.Errorf("%s refers to %s: %v", name, ref[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := get(t, a.url+"/missing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there is %s", resp.Status)
	}
}
