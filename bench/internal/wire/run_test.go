//go:build linux

package wire

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// running is a site whose source runs, until the test ends.
func running(t *testing.T, topics int, every time.Duration, secure bool) *site {
	t.Helper()
	source, err := feed.NewSource(topics, every, testSize)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return serve(t, source, secure, nil)
}

func TestRun(t *testing.T) {
	const clients, every = 20, 20 * time.Millisecond
	for _, job := range []Job{
		{Kind: Nothing}, {Kind: Poll, Browser: true}, {Kind: Poll}, {Kind: LongPoll, Browser: true}, {Kind: LongPoll},
		{Kind: Events}, {Kind: WebSocket},
		{Kind: Poll, Browser: true, TLS: true}, {Kind: LongPoll, TLS: true}, {Kind: Events, TLS: true}, {Kind: WebSocket, TLS: true},
	} {
		s := running(t, clients, every, job.TLS)
		job.Addr, job.PID, job.Clients, job.Size, job.Every, job.Poll = s.server.Listener.Addr().String(), os.Getpid(), clients, testSize, every, every
		job.Warmup, job.Time = every, 5*every
		r, err := Run(t.Context(), job)
		if err != nil {
			t.Errorf("%+v: %v", job, err)
			continue
		}
		if r.Updates <= 0 || r.CPU <= 0 || r.Wall < job.Time {
			t.Errorf("%+v: %+v", job, r)
		}
		if job.Kind == Nothing {
			continue
		}
		if r.Received < int64(r.Updates)*testSize-clients*testSize || r.Packets <= 0 || r.PacketHeaders < 40*r.Packets || r.DelayMean <= 0 || r.DelayP99 < r.DelayP50 {
			t.Errorf("%+v: %+v", job, r)
		}
		switch job.Kind {
		case Poll, LongPoll:
			if r.Polls < r.Updates-clients || r.Sent <= 0 || r.SetupSent != 0 {
				t.Errorf("%+v: %+v", job, r)
			}
		default:
			if r.Polls != 0 || r.SetupSent == 0 || r.SetupReceived == 0 {
				t.Errorf("%+v: %+v", job, r)
			}
		}
		// Each client may have one update that was counted on one side only.
		if frames := float64(r.Received) / (2 + testSize); job.Kind == WebSocket && !job.TLS && math.Abs(frames-r.Updates) > clients {
			t.Errorf("%.1f frames for %.0f updates", frames, r.Updates)
		}
	}
}

func TestRunFails(t *testing.T) {
	good := Job{Kind: Poll, Addr: "127.0.0.1:1", PID: os.Getpid(), Clients: 3, Size: testSize, Every: time.Second, Poll: time.Second, Time: time.Minute}
	for _, change := range []func(*Job){
		func(j *Job) { j.Kind = "pigeon" },
		func(j *Job) { j.Addr = "localhost" },
		func(j *Job) { j.Clients = 0 },
		func(j *Job) { j.Clients = feed.MaxTopics + 1 },
		func(j *Job) { j.Every = 0 },
		func(j *Job) { j.Poll = 0 },
		func(j *Job) { j.Time = 0 },
		func(j *Job) {}, // nobody listens there
	} {
		job := good
		change(&job)
		if _, err := Run(t.Context(), job); err == nil {
			t.Errorf("no error: %+v", job)
		}
	}

	// A server that is good to the first request of each client only.
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, feed.PollPath) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Error(w, "enough", http.StatusTeapot)
	}))
	defer first.Close()
	job := good
	job.Kind, job.Addr = LongPoll, first.Listener.Addr().String()
	if _, err := Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("error %v, want one with the status", err)
	}

	// The clients are connected and the clock runs when the caller gives up.
	ctx, cancel := context.WithCancel(t.Context())
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, feed.PollPath) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		cancel()
		<-r.Context().Done()
	}))
	defer asked.Close()
	job.Addr = asked.Listener.Addr().String()
	if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// The time that updates wait for the next poll is spread evenly between none and
// the time between two polls, if polls are as rare as updates and if they are
// not.
func TestNextPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, poll = 1000, time.Second
		for _, every := range []time.Duration{poll, 10 * poll} {
			r := &runner{Job: Job{Clients: clients, Poll: poll}}
			var bins [10]int
			for i := range clients {
				c := &client{r: r, index: i}
				made := time.Now().Add(time.Duration(i) * every / clients) // now is a full second
				next := c.nextPoll(made)
				wait := next.Sub(made)
				if wait <= 0 || wait > poll {
					t.Fatalf("client %d waits for %v", i, wait)
				}
				if after := c.nextPoll(next).Sub(next); after != poll {
					t.Fatalf("client %d polls again after %v", i, after)
				}
				bins[min(int(wait*10/poll), 9)]++
			}
			for _, n := range bins {
				if n < clients/10-10 || n > clients/10+10 {
					t.Errorf("an update every %v: %v", every, bins)
					break
				}
			}
		}
	})
}
