package main

import (
	"context"
	"log"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

var quiet = log.New(&buffer{}, "", 0)

func TestBench(t *testing.T) {
	codes := make(chan websocket.StatusCode, 10)
	url := serve(t, func(c *websocket.Conn) { codes <- echo(c) })
	r := wscat(t, nil, "bench", "-n", "10", "-d", "50ms", "-size", "1000", url)
	if r.code != 0 || r.stderr != "" {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	for _, want := range []string{
		`^10 connections in .*, each handshake:\n`,
		`\n[1-9]\d* round trips of 1000 bytes in .*, [1-9]\d* per second:\n  mean .*p50 .*p99\.9 .*max `,
		`\n  ≤ +[\d.]+(µs|ms|s) +\d+  █+\n`,
	} {
		if !regexp.MustCompile(want).MatchString(r.stdout) {
			t.Errorf("no %s in\n%s", want, r.stdout)
		}
	}
	for range 10 {
		if code := <-codes; code != websocket.StatusNormalClosure {
			t.Errorf("the server was told %v", code)
		}
	}
}

func TestBenchFails(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		handler    func(*websocket.Conn)
	}{
		{"another answer", "does not echo: 32 bytes went out, and 2 others came back", func(c *websocket.Conn) {
			c.Read(context.Background())
			c.Write(context.Background(), websocket.Text, []byte("no"))
			c.Read(context.Background())
		}},
		{"an end", "3 of 3 connections failed: ", func(c *websocket.Conn) {
			c.Read(context.Background())
			c.Close(websocket.StatusTryAgainLater, "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wscat(t, nil, "bench", "-n", "3", "-d", "1m", serve(t, tt.handler)).
				wantErr(t, exitFailed, tt.want)
		})
	}
	wscat(t, nil, "bench", "-n", "3", "http://127.0.0.1:1/").wantErr(t, exitFailed, "no connection")
	for _, args := range [][]string{{"-n", "0"}, {"-d", "0s"}, {"-size", "-1"}, {"-x", "send"}} {
		args = append(append([]string{"bench"}, args...), "ws://unused.example")
		wscat(t, nil, args...).wantErr(t, exitUsage, "usage: wscat bench")
	}
}

// wantErr checks the exit code and the text on standard error.
func (r result) wantErr(t *testing.T, code int, stderr string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stderr, stderr) {
		t.Errorf("exit code %d, want %d, and %q in\n%s", r.code, code, stderr, r.stderr)
	}
}

// An interrupt ends a measurement, whose results so far are printed.
func TestBenchSignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(c *websocket.Conn) {
		c.Read(context.Background())
		cancel()
		c.Write(context.Background(), websocket.Text, []byte(strings.Repeat("x", 32)))
		echo(c)
	})
	var stdout, stderr buffer
	code := run(ctx, []string{"bench", "-n", "1", "-d", "1h", url}, nil, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "1 round trips of 32 bytes") {
		t.Errorf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
}

func TestHistogram(t *testing.T) {
	var h, other histogram
	if h.quantile(.5) != 0 || h.mean() != 0 {
		t.Error("an empty histogram has quantiles")
	}
	for i := 1; i <= 1000; i++ {
		half := &h
		if i%2 == 0 {
			half = &other
		}
		half.add(time.Duration(i) * time.Millisecond)
	}
	h.merge(&other)
	for part, want := range map[float64]time.Duration{.001: 1, .5: 500, .9: 900, .99: 990, 1: 1000} {
		want *= time.Millisecond
		if got := h.quantile(part); got < want || got > want+want/10 {
			t.Errorf("quantile %v is %v, want %v to 10 %% more", part, got, want)
		}
	}
	if h.mean() != 500500*time.Microsecond || h.max != time.Second || h.total != 1000 {
		t.Errorf("mean %v, max %v, total %d", h.mean(), h.max, h.total)
	}
	for d := time.Nanosecond; d < 2*upperEnd(classes-1); d = d*5/4 + 1 {
		c := classOf(d)
		if c < classes-1 && d > upperEnd(c)+1 || c > 0 && d <= upperEnd(c-1) {
			t.Errorf("%v is in the class up to %v", d, upperEnd(c))
		}
	}
	var out buffer
	h.print(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) > rows+2 || len(lines) < rows/2 {
		t.Errorf("%d lines:\n%s", len(lines), &out)
	}
}

func TestBar(t *testing.T) {
	for part, want := range map[float64]string{-1: "0 %", 0.5: "50 %", 2: "100 %"} {
		if got := bar("x", part); !strings.HasSuffix(got, " "+want) || strings.Count(got, "█")+strings.Count(got, "░") != progressWidth {
			t.Errorf("the bar of %v is %q", part, got)
		}
	}
}
