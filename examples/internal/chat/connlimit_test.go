package chat

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestAddressPrefix(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:ffff]:2", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"@", "pipe", true},
		{"@", "192.0.2.1:1", false},
	} {
		if got := addressPrefix(tt.a) == addressPrefix(tt.b); got != tt.same {
			t.Errorf("%s and %s: one is %v", tt.a, tt.b, got)
		}
	}
}

func TestConnLimit(t *testing.T) {
	d := newConnLimit(3, 2)
	a, b, c := addressPrefix("192.0.2.1:1"), addressPrefix("192.0.2.2:1"), addressPrefix("192.0.2.3:1")
	for i, want := range []int{0, 0, http.StatusTooManyRequests} {
		if got := d.acquire(a); got != want {
			t.Errorf("connection %d: %d, want %d", i, got, want)
		}
	}
	if got := d.acquire(b); got != 0 {
		t.Errorf("another address: %d", got)
	}
	if got := d.acquire(c); got != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", got)
	}
	d.release(a)
	if got := d.acquire(c); got != 0 {
		t.Errorf("after one has left: %d", got)
	}
	for _, p := range []func(){func() { d.release(a) }, func() { d.release(b) }, func() { d.release(c) }} {
		p()
	}
	if d.n != 0 || len(d.byAddress) != 0 {
		t.Errorf("%d connections, %v, after all have left", d.n, d.byAddress)
	}
}

// An address with too many connections gets no more, until one has ended. A request
// that is not a handshake takes no room.
func TestTooManyConnections(t *testing.T) {
	l := defaultLimits
	l.connsPerAddress = 2
	url, s := start(t, l)
	for range 3 {
		resp, err := http.Get(url + "/ws")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("no handshake: %s", resp.Status)
		}
	}
	ada := dial(t, url)
	dial(t, url).join(lobby, "Bo")
	refused := func() (status int) {
		conn, resp, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{Header: http.Header{"Origin": {url}}})
		if err == nil {
			conn.CloseNow()
			return 0
		}
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if got := refused(); got != http.StatusTooManyRequests {
		t.Errorf("a third connection: %d", got)
	}
	ada.conn.Close(websocket.StatusNormalClosure, "")
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.conns.mu.Lock()
		n := s.conns.n
		s.conns.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are counted", n)
		}
	}
	dial(t, url).join(lobby, "Cy")
}

// A connection that enters no room is not kept. One that does may be silent.
func TestNeverJoins(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, stranger := visit(t, s), visit(t, s)
		ada.join(lobby, "Ada")
		ends := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				// A refusal is no reason to stay.
				stranger.send(incoming{Type: "join", Room: lobby, Name: fmt.Sprint(i), Key: "short"})
				if e, err := stranger.read(time.Hour); err != nil || e.Code != "bad-key" {
					ends <- err
					return
				}
				time.Sleep(time.Second)
			}
		}()
		time.Sleep(testLimits.joinTimeout - time.Nanosecond)
		synctest.Wait()
		select {
		case err := <-ends:
			t.Fatalf("too early: %v", err)
		default:
		}
		time.Sleep(2 * time.Second)
		select {
		case err := <-ends:
			if websocket.CloseCode(err) != websocket.StatusPolicyViolation {
				t.Errorf("it ended with %v", err)
			}
		default:
			t.Fatal("it is still there")
		}
		time.Sleep(time.Minute)
		ada.say("1", "Still here")
		ada.expect("ack")
	})
}
