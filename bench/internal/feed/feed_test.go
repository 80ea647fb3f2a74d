package feed

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

func newSource(t *testing.T, topics int, every time.Duration) *Source {
	t.Helper()
	s, err := NewSource(topics, every, MinSize)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUpdate(t *testing.T) {
	at := time.UnixMicro(1764090000123456)
	for _, size := range []int{MinSize, MinSize + 1, 1000} {
		text := appendUpdate(nil, 1017, 10003, at, size)
		if len(text) != size || !json.Valid(text) {
			t.Errorf("%d bytes: %d bytes, %s", size, len(text), text)
		}
		u, err := ParseUpdate(text)
		if err != nil || u.Topic != 1017 || u.Seq != 10003 || !u.At.Equal(at) {
			t.Errorf("%d bytes: %+v, %v", size, u, err)
		}
		for cut := range text {
			if u, err := ParseUpdate(text[:cut]); err == nil {
				t.Fatalf("%s: %+v", text[:cut], u)
			}
		}
	}
	for _, bad := range []string{"", "{}", `{"topic":1017}`, `{"topic":x,"seq":1,"at":1,"note":""}`, `{"topic":1,"seq":1,"at":9999999999999999999,"note":""}`} {
		if u, err := ParseUpdate([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, u)
		}
	}
}

func TestNewSource(t *testing.T) {
	for _, bad := range []struct {
		topics int
		every  time.Duration
		size   int
	}{{0, time.Second, MinSize}, {MaxTopics + 1, time.Second, MinSize}, {1000, time.Millisecond, MinSize}, {1, 0, MinSize}, {1, time.Second, MinSize - 1}, {1, time.Second, MaxSize + 1}} {
		if _, err := NewSource(bad.topics, bad.every, bad.size); err == nil {
			t.Errorf("no error for %+v", bad)
		}
	}
}

// Each topic has its update once in every, at its own time, which others can
// compute.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics, rounds = 10, 3
		s := newSource(t, topics, time.Second)
		var got []Update
		for i := range s.topics {
			s.topics[i].subscribers.Add(&subscriber{func(text []byte) {
				u, err := ParseUpdate(text)
				if err != nil {
					t.Error(err)
				}
				got = append(got, u)
			}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx)
		}()
		time.Sleep(rounds*time.Second + time.Millisecond)
		cancel()
		<-done
		if len(got) != rounds*topics {
			t.Fatalf("%d updates, want %d", len(got), rounds*topics)
		}
		seen := make(map[int]int)
		for _, u := range got {
			if at := time.Duration(u.At.UnixNano()) % time.Second; at != time.Duration(u.Topic-FirstTopic)*time.Second/topics {
				t.Errorf("topic %d: an update %v after the full second", u.Topic, at)
			}
			if seen[u.Topic]++; u.Seq != FirstSeq+seen[u.Topic] {
				t.Errorf("topic %d: update %d, want %d", u.Topic, u.Seq, FirstSeq+seen[u.Topic])
			}
		}
	})
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPoll(t *testing.T) {
	s := newSource(t, 2, time.Hour)
	h := s.Handler(websocket.AcceptOptions{})
	for _, step := range []struct {
		path   string
		status int
	}{
		{"/poll/1001?after=10000", http.StatusNoContent},
		{"", 0},
		{"/poll/1001?after=10000", http.StatusOK},
		{"/poll/1001?after=10001", http.StatusNoContent},
		{"/poll/1000?after=10000", http.StatusNoContent},
		{"/wait/1001?after=10000", http.StatusOK},
		{"/poll/1001", http.StatusBadRequest},
		{"/wait/1001?after=x", http.StatusBadRequest},
		{"/poll/1002?after=10000", http.StatusNotFound},
		{"/poll/999?after=10000", http.StatusNotFound},
		{"/poll/x?after=10000", http.StatusNotFound},
		{"/wait/x?after=10000", http.StatusNotFound},
		{"/events/1002", http.StatusNotFound},
		{"/events/x", http.StatusNotFound},
	} {
		if step.path == "" {
			s.Publish(1)
			continue
		}
		w := get(h, step.path)
		if w.Code != step.status {
			t.Errorf("%s: status %d, want %d", step.path, w.Code, step.status)
		}
		if w.Code == http.StatusOK {
			if u, err := ParseUpdate(w.Body.Bytes()); err != nil || u.Topic != 1001 || u.Seq != 10001 {
				t.Errorf("%s: %+v, %v", step.path, u, err)
			}
		}
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, 1, time.Hour)
		h := s.Handler(websocket.AcceptOptions{})
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() { answer <- get(h, "/wait/1000?after=10000") }()
		synctest.Wait()
		s.Publish(0)
		if w := <-answer; w.Code != http.StatusOK {
			t.Errorf("status %d, want 200", w.Code)
		}
		began := time.Now()
		if w := get(h, "/wait/1000?after=10001"); w.Code != http.StatusNoContent || time.Since(began) != waitLimit {
			t.Errorf("status %d after %v", w.Code, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the client has gone
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/wait/1000?after=10001", nil))
		if n := len(s.topics[0].subscribers.All()); n != 0 {
			t.Errorf("%d subscribers are left", n)
		}
	})
}

// A reader that is slow misses updates, and holds up nobody.
func TestSlowSubscriber(t *testing.T) {
	s := newSource(t, 1, time.Hour)
	updates, cancel := s.topics[0].subscribe(2)
	for range 5 {
		s.Publish(0)
	}
	cancel()
	if len(updates) != 2 || len(s.topics[0].subscribers.All()) != 0 {
		t.Errorf("%d updates wait, want 2", len(updates))
	}
}

// Clients that send a message on a WebSocket, or ask for an unknown topic, are closed,
// by a server with a loop and by one without.
func TestSocketRefusals(t *testing.T) {
	s := newSource(t, 1, time.Hour)
	goroutines := httptest.NewServer(s.Handler(websocket.AcceptOptions{}))
	defer goroutines.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go s.ServeLoop(l, websocket.AcceptOptions{})

	for _, url := range []string{"ws" + strings.TrimPrefix(goroutines.URL, "http"), "ws://" + l.Addr().String()} {
		for _, path := range []string{"/ws/1000", "/ws/1001", "/ws/x"} {
			c, _, err := websocket.Dial(t.Context(), url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/ws/1000" {
				if err := c.Write(t.Context(), websocket.Text, []byte("hello")); err != nil {
					t.Error(err)
				}
			}
			_, _, err = c.Read(t.Context())
			if code := websocket.CloseCode(err); code != websocket.StatusPolicyViolation {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
