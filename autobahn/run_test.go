package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeRun runs the program with the stand-in for wstest.
func fakeRun(t *testing.T, faults string, args ...string) (string, error) {
	t.Helper()
	useFake(t, faults)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, args, &out)
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return out.String(), err
}

// TestRun has every case of both sides run by the stand-in.
func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	out, err := fakeRun(t, "", "all", "-report", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := behaviorCounts()
	for _, id := range allCases() {
		want.add(expected(id).Behavior)
	}
	for _, want := range []string{
		"server PASSED: " + want.String(), "client PASSED: " + want.String(),
		"expected: 7.1.6, 7.13.1, 7.13.2 INFORMATIONAL", "summary: " + filepath.Join(dir, "index.html"),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(page), `class="ok" href="`); n != 2*want.perWord[ok] {
		t.Errorf("the page has %d good cases", n)
	}
	if bytes.Contains(page, []byte("http")) {
		t.Error("the page refers to something elsewhere")
	}
	for _, path := range []string{"server/shard-1/index.json", "client/shard-1/wstest.log"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
}

// TestRunFails has the suite find fault, or be at fault, and looks at what we
// make of it.
func TestRunFails(t *testing.T) {
	for _, tt := range []struct {
		name, faults string
		cases        string
		want         []string // in the output
	}{
		{"non-strict", "say=6.4.1=NON-STRICT=OK", "6.4", []string{
			"6.4.1: NON-STRICT, NOT as expected", "reason of 6.4.1", "FAILED: 3 OK, 1 NON-STRICT; 1 not as expected"}},
		{"failed", "say=1.1.2=FAILED=OK", "1.1", []string{"1.1.2: FAILED, NOT as expected"}},
		{"unclean", "say=2.1=OK=UNCLEAN", "2", []string{"2.1: OK, NOT as expected", "closing UNCLEAN: close reason of 2.1"}},
		{"dropped", "say=2.1=OK=OK nocode=2.1", "2", []string{"2.1: OK, NOT as expected: no status code of ours came"}},
		{"a case is missing", "drop=1.1.2", "1.1", []string{"1.1.2: MISSING", "FAILED: 7 OK, 1 MISSING"}},
		{"unimplemented", "say=1.1.2=UNIMPLEMENTED=OK", "1.1", []string{"1.1.2: UNIMPLEMENTED, NOT as expected"}},
		{"compression is unimplemented", "say=13.3.1=UNIMPLEMENTED=OK", "13.3", []string{
			"13.3.1: UNIMPLEMENTED, NOT as expected", "FAILED: 17 OK, 1 UNIMPLEMENTED; 1 not as expected"}},
		{"informational", "say=1.1.2=INFORMATIONAL=INFORMATIONAL", "1.1", []string{"1.1.2: INFORMATIONAL, NOT as expected"}},
		{"crash", "crash=1.1.5", "1.1.5,1.1.6", []string{"PROBLEM: ", "wstest", "  | Traceback: the snake has bitten itself", "MISSING"}},
		{"one case too many", "extra", "1.1", []string{"PROBLEM: "}},
		{"one case too many of all", "extra", "", []string{"counting the cases: the suite has 518 cases, not 517"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, side := range []string{"server", "client"} {
				out, err := fakeRun(t, tt.faults, side, "-shards", "2", "-cases", tt.cases)
				if err == nil || !strings.HasPrefix(err.Error(), side+": ") {
					t.Errorf("%s: %v", side, err)
				}
				for _, want := range append(tt.want, side+" FAILED: ") {
					if !strings.Contains(out, want) {
						t.Errorf("%s: no %q in:\n%s", side, want, out)
					}
				}
			}
		})
	}
}

// TestStall: a case that does not end takes its shard with it, and no more
// time than it may.
func TestStall(t *testing.T) {
	defer func(d time.Duration) { stallLimit = d }(stallLimit)
	stallLimit = time.Second
	for side, problem := range map[string]string{"server": "wstest: ", "client": "case 1.1.2: "} {
		out, err := fakeRun(t, "hang=1.1.2", side, "-shards", "2", "-cases", "1.1.1,1.1.2")
		if err == nil || !strings.Contains(out, problem+errStalled.Error()) || !strings.Contains(out, "FAILED: 1 OK, 1 MISSING") {
			t.Errorf("%s: %v\n%s", side, err, out)
		}
	}
}

func TestTimeout(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		out, err := fakeRun(t, "hang=1.1.2", side, "-timeout", "1s", "-cases", "1.1")
		if err == nil || !strings.Contains(out, "the time of 1s is up") {
			t.Errorf("%s: %v\n%s", side, err, out)
		}
	}
}

// notify is a writer that calls a function when a text is written.
type notify struct {
	text string
	f    func()
}

func (n notify) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(n.text)) {
		n.f()
	}
	return len(p), nil
}

func TestInterrupt(t *testing.T) {
	for _, faults := range []string{"nolisten", "hang=1.1.2"} {
		useFake(t, faults)
		ctx, cancel := context.WithCancel(t.Context())
		err := run(ctx, []string{"client", "-cases", "1.1.2"}, notify{"client: 1 cases", cancel})
		if err == nil || err.Error() != "interrupted" {
			t.Errorf("%s: %v", faults, err)
		}
	}
}

// TestFamily: when a suite is ended, so are its children. They have inherited
// a pipe, which has to be free in the end.
func TestFamily(t *testing.T) {
	useFake(t, "hang=1.1.1")
	server, err := startEchoServer("conn")
	if err != nil {
		t.Fatal(err)
	}
	defer server.stop()
	dir := t.TempDir()
	s := &shard{cases: []string{"1.1.1"}, dir: ".", root: dir}
	if err := s.configure("fuzzingclient", map[string]any{
		"servers": []map[string]string{{"agent": agent, "url": server.url}},
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := command(ctx, []string{os.Getenv("WSTEST"), "-m", "fuzzingclient", "-s", "config.json"}, dir)
	cmd.WaitDelay = 0 // no mercy for who holds the pipe
	cmd.Stdout = notify{"asleep", cancel}
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	select {
	case <-done:
		if ctx.Err() == nil {
			t.Error("it ended before there was a child")
		}
	case <-time.After(30 * time.Second):
		t.Error("somebody still holds the pipe")
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := startProgress(&out, "server", 5)
	a, b := p.shard(), p.shard()
	for i, step := range []struct {
		begin func(string)
		id    string
		want  string
	}{
		{a, "1.1.1", "0 of 5 cases, 0s, now at 1.1.1"},
		{b, "9.1.6", "0 of 5 cases, 0s, now at 1.1.1 9.1.6"},
		{a, "1.1.2", "1 of 5 cases, 0s, now at 1.1.2 9.1.6"},
		{a, "1.1.3", "2 of 5 cases, 0s, now at 1.1.3 9.1.6"},
		{a, "", "3 of 5 cases, 0s, now at 9.1.6"},
		{b, "", "4 of 5 cases, 0s, finishing"},
	} {
		step.begin(step.id)
		p.start = time.Now()
		if got := p.line(); got != "server: "+step.want {
			t.Errorf("step %d: %q", i, got)
		}
	}
	p.stop()
	if out.String() != "\nserver: 5 cases\n" {
		t.Errorf("%q", out.String())
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"both"}, {"server", "more"}, {"server", "-cases", "8.*"}, {"server", "-cases", "1.1.["},
		{"server", "-shards", "0"}, {"server", "-nonsense"}, {"server", "-report", dir},
	} {
		err := run(t.Context(), args, io.Discard)
		var bad *usageError
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "precious")); err != nil {
		t.Error(err)
	}
}

func TestNoSuite(t *testing.T) {
	empty := t.TempDir()
	for _, v := range []string{"PATH", "HOME", "PYENV_ROOT", "XDG_CACHE_HOME"} {
		t.Setenv(v, empty)
	}
	t.Setenv("WSTEST", "")
	err := run(t.Context(), []string{"all"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "Python 2.7") || !strings.Contains(err.Error(), dockerImage) {
		t.Errorf("%v", err)
	}
	t.Setenv("WSTEST", filepath.Join(empty, "wstest"))
	if err := run(t.Context(), []string{"all"}, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "$WSTEST: ") {
		t.Errorf("%v", err)
	}
}
