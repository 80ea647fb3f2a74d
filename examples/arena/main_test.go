package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"extra", `unexpected argument "extra"`},
		{"-tick 19", "-tick: 19 ticks per second, but 20 to 60 are possible"},
		{"-tick 61", "-tick: 61 ticks"},
		{"-tick x", "invalid value"},
		{"-max 0", "-max is 0, want 1 to 250"},
		{"-max 251", "-max is 251"},
		{"-bots -1", "-bots is -1, want 0 to 250"},
		{"-bots 9 -max 8", "-bots is 9, want 0 to 8"},
		{"-connect http://host/", `-connect is "http://host/", want a URL`},
		{"-connect=", `-connect is "", want a URL`},
		{"-connect ws://", `want a URL`},
		{"-connect ws://host/ -bots 0", "-bots is 0"},
		{"-connect ws://host/ -tick 30", "-tick is about a server"},
		{"-connect ws://host/ -addr :1", "-addr is about a server"},
		{"-connect ws://host/ -max 30", "-max is about a server"},
		{"-addr nonsense", "missing port"},
		{"-connect ws://127.0.0.1:1/ws", "connecting a bot"},
	} {
		err := run(t.Context(), strings.Fields(c.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if !strings.Contains(help.String(), "If the port is taken") {
		t.Errorf("the help does not say what happens when the port is taken:\n%s", &help)
	}
}

// program is run in the background.
type program struct {
	lines *bufio.Reader
	stop  context.CancelFunc
	done  chan error
}

func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	p := &program{bufio.NewReader(r), stop, make(chan error, 1)}
	go func() {
		err := run(ctx, args, w, w)
		w.CloseWithError(io.EOF)
		p.done <- err
	}()
	t.Cleanup(stop)
	return p
}

// line returns what the program says next, after some words.
func (p *program) line(t *testing.T, words string) string {
	t.Helper()
	line, err := p.lines.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), words)
	if err != nil || !ok {
		t.Fatalf("it says %q, %v, want %q", line, err, words)
	}
	return rest
}

// end ends the program, which has to do so without an error.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	if rest, err := io.ReadAll(p.lines); err != nil || string(rest) != "Shutting down.\n" {
		t.Errorf("at the end it says %q, %v", rest, err)
	}
	if err := <-p.done; err != nil {
		t.Error(err)
	}
}

// A server with bots, more bots from elsewhere, and an orderly end of all.
func TestRun(t *testing.T) {
	server := startProgram(t, "-addr", "127.0.0.1:0", "-bots", "2", "-max", "5")
	url := server.line(t, "The pond is at ")
	resp, _ := get(t, url)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the page is %s", resp.Status)
	}
	ws := "ws" + strings.TrimPrefix(url, "http") + "ws"
	bots := startProgram(t, "-connect", ws, "-bots", "3")
	bots.line(t, "3 koi swim to "+ws)
	p := dial(t, strings.TrimSuffix(url, "/"), nil)
	for r := expect[roster](p); len(r) < 5; r = expect[roster](p) {
	}
	bots.end(t)
	for r := expect[roster](p); len(r) > 2; r = expect[roster](p) {
	}
	p.conn.CloseNow()
	server.end(t)
}

// The usual port may be taken, one that was asked for must not be.
func TestListen(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, given := range []bool{false, true} {
		s := settings{addr: ln.Addr().String(), addrGiven: given}
		other, err := s.listen()
		if given != (err != nil) {
			t.Errorf("given %v: %v", given, err)
		}
		if err == nil {
			other.Close()
		}
	}
}

func TestURLs(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80/ ws://127.0.0.1:80/ws",
		"[::1]:8080":   "http://[::1]:8080/ ws://[::1]:8080/ws",
		"0.0.0.0:90":   "http://localhost:90/ ws://localhost:90/ws",
		"[::]:90":      "http://localhost:90/ ws://localhost:90/ws",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := urls(a)[0] + " " + ownURL(a); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
