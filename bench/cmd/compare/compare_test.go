//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// fakeEnv makes the test binary a server of the contract, with the named flaw.
const fakeEnv = "WEBSOCKET_BENCH_FAKE"

func TestMain(m *testing.M) {
	switch {
	case rig.IsLoad():
		loadMain()
	case os.Getenv(fakeEnv) != "":
		fakeServer(os.Getenv(fakeEnv))
	default:
		os.Exit(m.Run())
	}
}

func fakeServer(flaw string) {
	switch flaw {
	case "unsupported":
		fmt.Fprintln(os.Stderr, "no such mode")
		os.Exit(3)
	case "dies":
		fmt.Fprintln(os.Stderr, "out of luck")
		os.Exit(1)
	case "no address":
		fmt.Println("hello")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			if flaw == "dies when asked" {
				os.Exit(1)
			}
			fmt.Println("collected")
		}
	}()
	if flaw == "ignores SIGTERM" {
		signal.Ignore(syscall.SIGTERM)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on", l.Addr())
	panic(http.Serve(l, &websocket.Server{Handler: func(c *websocket.Conn) {
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			if flaw == "dies under load" {
				os.Exit(1)
			}
			if flaw == "hangs up" {
				c.CloseNow()
			}
			if flaw == "writes to stderr" {
				fmt.Fprintln(os.Stderr, "what a message")
			}
			c.Write(c.Context(), msg.Type, msg.Data)
		}
	}}))
}

// fakeBench measures servers that are this very binary.
func fakeBench(t *testing.T, flaw string) *bench {
	t.Setenv(fakeEnv, flaw)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := rig.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		settings:  &settings{rounds: 2, time: 20 * time.Millisecond, servers: []server{{name: "fake", kind: report.Ours, pkg: filepath.Base(self), mode: "conn"}}},
		dir:       filepath.Dir(self),
		stdout:    io.Discard,
		stderr:    io.Discard,
		launcher:  rig.NewLauncher(),
		cpus:      cpus,
		serverCPU: cpus[0], loadCPU: cpus[len(cpus)-1],
		results: &report.Results{},
	}
}

func tiny(kind string) scenario {
	sc := scenario{job: load.Job{Kind: kind, Conns: 3, Size: 64, Depth: 2, Messages: 1}}
	sc.Name = kind
	return sc
}

func TestMeasure(t *testing.T) {
	b := fakeBench(t, "none")
	for _, kind := range []string{load.Echo, load.Handshake, load.Memory} {
		samples, err := b.measure(t.Context(), tiny(kind), b.servers[0])
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		want := report.CPU
		if kind == load.Memory {
			want = report.Baseline
		}
		if samples[want] <= 0 {
			t.Errorf("%s: %v", kind, samples)
		}
	}
}

func TestMeasureAll(t *testing.T) {
	b := fakeBench(t, "writes to stderr")
	b.scenarios = []scenario{tiny(load.Echo)}
	if err := b.measureAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := b.results.Cell(load.Echo, "fake")
	if c == nil || len(c.Metrics[report.CPU].Samples) != 2 || !strings.Contains(c.Note, "what a message") {
		t.Errorf("%+v", c)
	}
}

func TestBadServers(t *testing.T) {
	for _, tt := range []struct{ flaw, kind, want string }{
		{"dies", load.Echo, "out of luck"},
		{"no address", load.Echo, `prints "hello"`},
		{"dies under load", load.Echo, "the server has ended"},
		{"dies under load", load.Memory, "the server has ended"},
		{"dies when asked", load.Memory, "the server has ended"},
		{"hangs up", load.Echo, "connection"}, // and has not ended
	} {
		t.Run(tt.flaw+" "+tt.kind, func(t *testing.T) {
			b := fakeBench(t, tt.flaw)
			b.scenarios = []scenario{tiny(tt.kind)}
			if err := b.measureAll(t.Context()); err == nil {
				t.Error("no error in the end")
			}
			c := b.results.Cell(tt.kind, "fake")
			if c == nil || !strings.Contains(c.Failed, tt.want) || tt.flaw == "hangs up" && strings.Contains(c.Failed, "has ended") {
				t.Errorf("%+v, want a failure with %q", c, tt.want)
			}
		})
	}
	b := fakeBench(t, "unsupported")
	b.scenarios = []scenario{tiny(load.Echo)}
	if err := b.measureAll(t.Context()); err != nil {
		t.Errorf("what a server does not have is no failure: %v", err)
	}
	if c := b.results.Cell(load.Echo, "fake"); c == nil || c.Missing == "" || c.Failed != "" {
		t.Errorf("%+v", c)
	}
}

// A server that ignores SIGTERM is gone nevertheless, and so is everything
// when the run is interrupted.
func TestNothingStays(t *testing.T) {
	b := fakeBench(t, "ignores SIGTERM")
	p, err := b.launcher.StartServer(t.Context(), exec.Command(filepath.Join(b.dir, b.servers[0].pkg)), b.serverCPU)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Collect(t.Context()); err != nil {
		t.Error(err)
	}
	p.Stop()
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server is still there: %v", err)
	}

	t.Setenv(fakeEnv, "none")
	ctx, cancel := context.WithCancel(t.Context())
	b.time = time.Minute
	b.scenarios = []scenario{tiny(load.Echo)}
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := b.measureAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestParse(t *testing.T) {
	names := func(s *settings) (all []string) {
		for _, sc := range s.scenarios {
			all = append(all, sc.Name)
		}
		return all
	}
	quick, err := parse(nil, io.Discard)
	if err != nil || quick.rounds != 3 || quick.out != "results" || len(quick.servers) != len(servers) {
		t.Errorf("%+v, %v", quick, err)
	}
	full, err := parse([]string{"-time", "1s", "full", "-rounds=9"}, io.Discard)
	if err != nil || full.rounds != 9 || full.time != time.Second || len(full.scenarios) != len(scenarios(1)) || len(quick.scenarios) >= len(full.scenarios) {
		t.Errorf("%+v, %v", full, err)
	}
	secure, err := parse([]string{"tls"}, io.Discard)
	if err != nil || secure.out != "" || secure.rounds != 5 || len(secure.scenarios) != 5 {
		t.Errorf("%+v, %v", secure, err)
	}
	edges, err := parse([]string{"edges", "-time", "1s"}, io.Discard)
	if err != nil || edges.time != time.Second || len(edges.scenarios) <= len(secure.scenarios) || len(edges.scenarios) >= len(full.scenarios) {
		t.Errorf("%+v, %v", edges, err)
	}
	some, err := parse([]string{"-servers", "ours,floor-epoll", "-scenarios", "echo-64-d1$"}, io.Discard)
	if err != nil || some.out != "" || !slices.Equal(names(some), []string{"echo-64-d1"}) || len(some.servers) != 2 {
		t.Errorf("%+v, %v", some, err)
	}
	for _, args := range [][]string{{"fast"}, {"quick", "full"}, {"-servers", "theirs"}, {"-scenarios", "["}, {"-scenarios", "teleport"}, {"-time", "1ns"}, {"-rounds", "-1"}, {"-bogus"}} {
		var bad *usageError
		if _, err := parse(args, io.Discard); !errors.As(err, &bad) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// The list of servers is a table that people extend; this test finds their mistakes.
func TestTables(t *testing.T) {
	known := make(map[string]server)
	for _, s := range servers {
		if _, twice := known[s.name]; twice {
			t.Errorf("two servers are called %s", s.name)
		}
		known[s.name] = s
	}
	for _, s := range servers {
		if f := known[s.floor]; f.kind != report.Floor || f.mode != s.mode {
			t.Errorf("%s: floor %q", s.name, s.floor)
		}
		if _, err := os.Stat(filepath.Join("..", s.pkg, "main.go")); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	seen := make(map[string]bool)
	for _, sc := range scenarios(10000) {
		if seen[sc.Name] || sc.Title == "" || len(sc.Compare) == 0 || sc.job.Conns == 0 {
			t.Errorf("%+v", sc)
		}
		seen[sc.Name] = true
	}
}

func TestRenderAgain(t *testing.T) {
	r := &report.Results{Servers: []report.Server{{Name: "ours", Kind: report.Ours}}, Scenarios: []report.Scenario{{Name: "x", Title: "X", Group: "echo", Compare: []string{report.CPU}}}}
	r.Add("x", "ours", map[string]float64{report.CPU: 7})
	dir := t.TempDir()
	name := filepath.Join(dir, "results.json")
	if err := r.Save(name); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-render", name}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"results.md": "**7.00", "summary.md": "**7.00", "echo.svg": "<svg"} {
		if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}
