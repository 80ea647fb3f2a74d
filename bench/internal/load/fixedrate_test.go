//go:build linux

package load

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"golang.org/x/sys/unix"
)

// The generator sends as many messages as are due, of its own rate or at half of what
// it has measured.
func TestFixedRate(t *testing.T) {
	srv := serve(t, oneByOne)
	job := testJob(srv, FixedRate)
	job.Rate, job.Time = 2000, 100*time.Millisecond
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A busy machine prolongs the measurement and delays replies beyond its end, but
	// more than were due never come.
	if most := r.Wall.Seconds()*job.Rate + float64(job.Conns); r.Messages > 2*most || r.P50 <= 0 || r.P99 < r.P50 || r.P999 < r.P99 {
		t.Errorf("%v replies in %v at %v a second: %+v", r.Messages, r.Wall, job.Rate, r)
	}
	job.Rate = 0
	if r, err = Run(t.Context(), job, nil); err != nil || r.Capacity <= 0 || r.Messages <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// The time that a server does nothing counts for each message that was due meanwhile.
// A generator that waits for replies would see one slow message per connection.
func TestNoCoordinatedOmission(t *testing.T) {
	const pause = 300 * time.Millisecond
	var n atomic.Int64
	srv := serve(t, func(c *websocket.Conn) {
		for {
			typ, p, err := c.Read(c.Context())
			if err != nil {
				return
			}
			if n.Add(1) == 500 { // well within the measurement
				time.Sleep(pause)
			}
			if c.Write(c.Context(), typ, p) != nil {
				return
			}
		}
	})
	job := testJob(srv, FixedRate)
	job.Conns, job.Rate, job.Time = 1, 1000, time.Second
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	// 300 messages were due in the pause, of 1,000 to 4,000: more than one in a hundred.
	if r.P99 < pause/2 {
		t.Errorf("p99 %v, p99.9 %v: a pause of %v is not seen in %v messages", r.P99, r.P999, pause, r.Messages)
	}
}

// Messages that were due while the clock ran count, also if their replies come later.
func TestWindowHolds(t *testing.T) {
	w := &measurement{}
	if w.holds(5) {
		t.Error("before the clock runs")
	}
	w.open, w.from.at = true, 10
	if w.holds(9) || !w.holds(10) {
		t.Error("while the clock runs")
	}
	w.open, w.over, w.to.at = false, true, 20
	if w.holds(9) || !w.holds(19) || w.holds(20) {
		t.Error("when it has stopped")
	}
}

func TestDueTimes(t *testing.T) {
	var d dueTimes
	for round := range 3 {
		for i := range 5 {
			d.push(time.Duration(10*round + i))
		}
		for i := range 5 {
			if at, ok := d.pop(); !ok || at != time.Duration(10*round+i) {
				t.Fatalf("round %d: %v, %v instead of %d", round, at, ok, 10*round+i)
			}
		}
		if _, ok := d.pop(); ok {
			t.Fatal("it gives more than it was given")
		}
	}
}

// A message that is sent late was due at its time nevertheless.
func TestSentLate(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	c := &conn{fd: pair[0]}
	defer c.close()
	s := &schedule{
		runner:   &runner{conns: []*conn{c}, script: plainScript(64, 1), started: time.Now().Add(-time.Hour)},
		interval: time.Second, next: time.Minute, due: make([]dueTimes, 1),
	}
	for _, want := range []time.Duration{time.Minute, time.Minute + time.Second} {
		if err := s.send(); err != nil {
			t.Fatal(err)
		}
		if at, ok := s.due[0].pop(); !ok || at != want {
			t.Errorf("due at %v, %v, want %v", at, ok, want)
		}
	}
}

func TestFixedRateErrors(t *testing.T) {
	srv := serve(t, echo(func(n int, m websocket.Message) websocket.Message {
		if n > 3 {
			m.Data = append(m.Data, m.Data...)
		}
		return m
	}))
	job := testJob(srv, FixedRate)
	job.Rate = 1000
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "more has come back") {
		t.Errorf("error %v, want that more has come back", err)
	}
	job.TLS = true
	if _, err := Run(t.Context(), job, nil); err == nil {
		t.Error("no error for what it cannot do")
	}
}
