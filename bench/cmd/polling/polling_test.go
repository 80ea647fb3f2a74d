//go:build linux

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

	"github.com/fullduplex-go/websocket/bench/internal/rig"
	"github.com/fullduplex-go/websocket/bench/internal/wire"
)

func TestMain(m *testing.M) {
	switch {
	case rig.IsLoad():
		loadMain()
	case os.Getenv(serverEnv) != "":
		serverMain()
	default:
		os.Exit(m.Run())
	}
}

// All of it, small: every transport has figures, and the files are written.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"-clients", "5", "-every", "20ms", "-time", "60ms", "-rounds", "2", "-o", dir}, &out, &errs)
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	r, err := load(filepath.Join(dir, jsonName))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range transports {
		if v, ok := r.median(tt.name, cpu); !ok || v <= 0 {
			t.Errorf("%s: CPU %v", tt.name, v)
		}
		if v, ok := r.median(tt.name, both); ok != (tt.name != nothing) || ok && v < 30 {
			t.Errorf("%s: %v bytes", tt.name, v)
		}
		if !strings.Contains(out.String(), tt.name) {
			t.Errorf("%s is not printed:\n%s", tt.name, &out)
		}
	}
	for _, w := range r.Rows {
		if w.Name != nothing && len(w.Metrics[both].Samples) != 2 {
			t.Errorf("%s: %+v", w.Name, w)
		}
	}
	// Rendered again it is the same.
	again := filepath.Join(dir, "again")
	if err := run(t.Context(), []string{"-render", filepath.Join(dir, jsonName), "-o", again}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"polling.md", "polling-summary.md"} {
		first, err1 := os.ReadFile(filepath.Join(dir, name))
		second, err2 := os.ReadFile(filepath.Join(again, name))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(first, second) || len(first) == 0 {
			t.Errorf("%s: %v\n%s\n%s", name, err, first, second)
		}
	}
}

// A transport that fails has no figures, and the others have.
func TestFailure(t *testing.T) {
	s, err := parse([]string{"-transports", "ws,events", "-clients", "3", "-every", "20ms", "-time", "20ms", "-rounds", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.transports[0].job.Compressed, s.transports[0].mode = true, "pigeon"
	b, err := prepare(t.Context(), s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.measureAll(t.Context()); err == nil {
		t.Error("no error in the end")
	}
	if _, ok := b.results.median("ws", both); ok || b.results.Rows[0].Failed == "" {
		t.Errorf("%+v", b.results.Rows[0])
	}
	if _, ok := b.results.median("events", both); !ok {
		t.Errorf("%+v", b.results.Rows[1])
	}
	var md bytes.Buffer
	b.results.summary(&md)
	b.results.details(&md)
	if !strings.Contains(md.String(), "ws has failed: not supported") {
		t.Error(md.String())
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.measureAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestParse(t *testing.T) {
	s, err := parse(nil, io.Discard)
	if err != nil || s.out != "results" || len(s.transports) != len(transports) || s.clients != 1000 {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = parse([]string{"-transports", "ws, events", "-every", "1s"}, io.Discard)
	if err != nil || s.out != "" || len(s.transports) != 2 || s.transports[1].name != "events" || s.every != time.Second {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range [][]string{{"quick"}, {"-transports", "pigeon"}, {"-clients", "0"}, {"-clients", "100000"}, {"-size", "10"}, {"-rounds", "0"},
		{"-time", "1ns"}, {"-every", "1h"}, {"-every", "1ms"}, {"-every", "10ms", "-clients", "9000"}, {"-bogus"}} {
		var bad *usageError
		if _, err := parse(args, io.Discard); !errors.As(err, &bad) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestTransports(t *testing.T) {
	seen := make(map[string]bool)
	for _, tt := range transports {
		if seen[tt.name] || tt.title == "" || tt.job.Kind == "" || tt.rare && tt.job.Kind != wire.Poll || tt.job.TLS != strings.HasPrefix(tt.name, "tls-") {
			t.Errorf("%+v", tt)
		}
		seen[tt.name] = true
	}
	for _, name := range []string{nothing, pollBrowser, pollGo, socket, tlsPollBrowser, tlsPollGo, tlsSocket} {
		if !seen[name] {
			t.Errorf("no transport is called %s", name)
		}
	}
}

func TestSentences(t *testing.T) {
	r := newResults(&settings{transports: transports, clients: 10, size: 100, rounds: 1, time: time.Second, every: time.Second})
	add := func(name string, m wire.Result) {
		for i := range r.Rows {
			if r.Rows[i].Name == name {
				m.Updates, m.Wall = 10, time.Second
				r.Rows[i].add(m)
			}
		}
	}
	if text := r.sentences(); len(text) != 0 {
		t.Errorf("without figures: %q", text)
	}
	add(socket, wire.Result{Received: 1020, SetupSent: 500, SetupReceived: 100})
	add(pollBrowser, wire.Result{Sent: 5000, Received: 2020, Polls: 10})
	add(pollGo, wire.Result{Sent: 100, Received: 1220, Polls: 10})
	add(pollBrowserRare, wire.Result{Sent: 50000, Received: 20200, Polls: 100})
	text := strings.Join(r.sentences(), " ")
	for _, want := range []string{"adds 602 B to its 100 B", "32 B with those of a Go program", "a WebSocket adds 2 B",
		"one poll in 10 finds something, it is 7,020 B", "600 B once (500 B up, 100 B down)", "after 1 update beside", "after 20 updates beside"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in: %s", want, text)
		}
	}
	if strings.Contains(text, "TLS") {
		t.Errorf("without figures: %s", text)
	}
	for _, tt := range []struct {
		price, saved float64
		want         int
	}{{600, 600, 1}, {601, 600, 2}, {599, 600, 1}, {10, 3, 4}} {
		if n := paidAfter(tt.price, tt.saved); n != tt.want {
			t.Errorf("%v for %v: after %d, want %d", tt.price, tt.saved, n, tt.want)
		}
	}
}
