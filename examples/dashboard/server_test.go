package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

func TestMain(m *testing.M) { os.Exit(wstest.MainOfFew(m)) }

// The page is confined to its own files, and those are all there.
func TestPage(t *testing.T) {
	_, url := start(t, config{instruments: 1, rate: 1})
	exampletest.CheckPage(t, url, contentPolicy, files)
}

// Pages of other sites are kept out.
func TestForeignOrigin(t *testing.T) {
	_, url := start(t, config{instruments: 1, rate: 1})
	conn, resp, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{
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

func TestStats(t *testing.T) {
	s, url := start(t, config{instruments: 10, rate: 60, seed: 1})
	look := func() (st stats) {
		resp, body := exampletest.Get(t, url+"/debug/stats")
		if got := resp.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %q", got)
		}
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		return st
	}
	if st := look(); st.Instruments != 10 || st.Rate != 60 || st.Trades != 10 || st.Visitors == nil || len(st.Visitors) != 0 {
		t.Errorf("at first: %+v", st)
	}
	p := dial(t, url)
	p.set(queueAll, 1e6)
	p.report()
	s.steps(60)
	p.catchUp(s.market)
	// The connection counts a message when its write has returned.
	st := look()
	for deadline := time.Now().Add(10 * time.Second); st.Visitors[0].Buffered > 0 && time.Now().Before(deadline); {
		st = look()
	}
	if st.Hub.Published != st.Trades || st.Trades <= 10 || st.Steps != historyLength*2*60+60 {
		t.Errorf("later: %+v", st)
	}
	if len(st.Visitors) != 1 {
		t.Fatalf("%d visitors", len(st.Visitors))
	}
	v := st.Visitors[0]
	if v.Sent != uint64(p.received+p.repeated) || v.Rate != 1e6 || !v.QueueAll || v.Messages != v.Sent+2 {
		t.Errorf("%+v, but %d received, %d repeated", v, p.received, p.repeated)
	}
	if v.Bytes < v.Sent*(tradeSize+2) {
		t.Errorf("%d bytes for %d trades", v.Bytes, v.Sent)
	}
	p.conn.CloseNow()
	for deadline := time.Now().Add(10 * time.Second); len(look().Visitors) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the visitor has not left")
		}
	}
}

// Pages are sent away at once when the server goes, however slow they are and
// however much waits for them.
func TestShutdown(t *testing.T) {
	s, url := start(t, config{instruments: 300, rate: 60, seed: 1})
	slow, quick := dial(t, url), dial(t, url)
	slow.set(queueAll, 20_000)
	slow.report()
	for s.stats().Visitors[0].Pending+s.stats().Visitors[1].Pending < 1000 {
		s.steps(10)
		quick.catchUp(s.market)
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		done <- s.shutdown(ctx)
	}()
	for _, p := range []*page{slow, quick} {
		var err error
		for err == nil {
			_, _, err = p.conn.Read(t.Context())
		}
		if code := websocket.CloseCode(err); code != websocket.StatusGoingAway {
			t.Errorf("closed with %v", err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	s.steps(10) // a closed market does no harm
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want options
		err  string
	}{
		{"", options{config{320, 60, 1}, defaultAddr, true, false}, ""},
		{"-addr :0 -seed 9", options{config{320, 60, 9}, ":0", false, false}, ""},
		{"-instruments 1 -rate 1", options{config{1, 1, 1}, defaultAddr, true, false}, ""},
		{"-instruments 1000 -rate 120", options{config{1000, 120, 1}, defaultAddr, true, false}, ""},
		{"-debug", options{config{320, 60, 1}, defaultAddr, true, true}, ""},
		{"-instruments 0", options{}, "-instruments is 0"},
		{"-instruments 1001", options{}, "-instruments is 1001, but must be from 1 to 1000"},
		{"-rate 0", options{}, "-rate is 0"},
		{"-rate 121", options{}, "-rate is 121, but must be from 1 to 120 per second"},
		{"-rate fast", options{}, "invalid value"},
		{"-seed -1", options{}, "invalid value"},
		{"-speed 1", options{}, "not defined"},
		{"now", options{}, `unexpected argument "now"`},
	} {
		got, err := parseFlags(strings.Fields(c.args), io.Discard)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want %q", c.args, err, c.err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

// The help text says what happens when the port is taken.
func TestHelp(t *testing.T) {
	var help strings.Builder
	if _, err := parseFlags([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	for _, want := range []string{"If the port is taken", "-debug"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help does not say %q:\n%s", want, &help)
		}
	}
}

// The program as a whole: it trades in real time, and ends when told to.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, say := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, options{config{100, 100, 1}, "127.0.0.1:0", false, false}, say)
		say.Close()
		done <- err
	}()
	var line string
	if _, err := fmt.Fscanf(out, "The dashboard is at %s\n", &line); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	url := strings.TrimSuffix(line, "/")

	// Somebody else cannot have the same port.
	taken := options{config{1, 1, 1}, strings.TrimPrefix(url, "http://"), false, false}
	if err := run(ctx, taken, io.Discard); err == nil {
		t.Error("two on one port")
	}
	// Nobody has asked for counters.
	if resp, _ := exampletest.Get(t, url+"/debug/stats"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("counters: %s", resp.Status)
	}
	p := dial(t, url)
	for p.received < 500 {
		p.next()
	}
	if r := p.report(); r.now <= 0 || r.now > 60_000 {
		t.Errorf("the time is %v", r.now)
	}
	stop()
	var err error
	for err == nil {
		_, _, err = p.conn.Read(context.Background())
	}
	if code := websocket.CloseCode(err); code != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("it still answers")
	}
}

// Where nobody has said which port, there is always one.
func TestListen(t *testing.T) {
	first, err := listen(options{addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := listen(options{addr: first.Addr().String(), anyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.Addr().String() == second.Addr().String() {
		t.Errorf("both listen on %v", first.Addr())
	}
	if _, err := listen(options{addr: first.Addr().String()}); err == nil || !errors.As(err, new(*net.OpError)) {
		t.Errorf("listening twice: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for _, test := range []struct {
		addr net.TCPAddr
		want string
	}{
		{net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, "http://127.0.0.1:8080/"},
		{net.TCPAddr{IP: net.IPv6loopback, Port: 80}, "http://[::1]:80/"},
		{net.TCPAddr{IP: net.IPv6zero, Port: 8080}, "http://localhost:8080/"},
	} {
		if got := urls(&test.addr); got[0] != test.want {
			t.Errorf("%v is at %q, want %q first", &test.addr, got, test.want)
		}
	}
}
