package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// runClientShard has our client visit the suite's fuzzing server, as the suite
// wants it: ask for the number of cases, run each, have the reports written.
func runClientShard(ctx context.Context, sh *shard) error {
	return sh.withFuzzingServer(ctx, len(sh.cases), func(ctx context.Context, s *fuzzingServer) error {
		var failures []error
		for i, id := range sh.cases {
			sh.begin(id)
			err := withTimeout(ctx, stallLimit, errStalled, func(ctx context.Context) error { return s.runCase(ctx, i+1) })
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				failures = append(failures, fmt.Errorf("case %s: %w", id, err))
			}
			if errors.Is(err, errStalled) {
				break // the others would take as long
			}
		}
		sh.begin("")
		return errors.Join(append(failures, withTimeout(ctx, startLimit, errReports, s.updateReports))...)
	})
}

var errReports = errors.New("the suite did not write its reports in time")

func withTimeout(ctx context.Context, d time.Duration, cause error, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, cause)
	defer cancel()
	err := f(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errServerEnded says that the suite's server ended before we were done.
var errServerEnded = errors.New("wstest ended by itself")

// portAttempts is how often another port is tried: somebody else may take a
// free one before the suite gets to it.
const portAttempts = 5

// withFuzzingServer starts the suite's fuzzing server with the shard's cases,
// makes sure that it has as many as it should, calls use, and ends the server,
// whatever happens.
func (s *shard) withFuzzingServer(ctx context.Context, cases int, use func(context.Context, *fuzzingServer) error) error {
	for attempt := 1; ; attempt++ {
		addr, err := freeAddress()
		if err != nil {
			return err
		}
		ready := false
		err = s.tryFuzzingServer(ctx, addr, func(ctx context.Context, server *fuzzingServer) error {
			n, err := server.caseCount(ctx)
			switch {
			case err != nil:
				return err
			case n != cases:
				return fmt.Errorf("the suite has %d cases, not %d", n, cases)
			}
			ready = true
			return use(ctx, server)
		})
		if !errors.Is(err, errServerEnded) || ready || attempt == portAttempts {
			return err
		}
	}
}

func (s *shard) tryFuzzingServer(ctx context.Context, addr string, use func(context.Context, *fuzzingServer) error) error {
	server := &fuzzingServer{url: "ws://" + addr}
	if err := s.configure("fuzzingserver", map[string]any{"url": server.url}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	cmd := s.tool.start(ctx, s.path(""), "-m", "fuzzingserver", "-u", "0", "-s", "config.json")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runLogged(ctx, cmd, s.path("wstest.log"), nil)
		cancel(errServerEnded) // unless it was us
	}()
	defer func() {
		cancel(nil)
		<-done
	}()
	err := withTimeout(ctx, startLimit, errNotListening, func(ctx context.Context) error { return waitForListener(ctx, addr) })
	if err == nil {
		err = use(ctx, server)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

var errNotListening = fmt.Errorf("wstest did not listen within %v", startLimit)

// waitForListener waits until somebody listens at an address. There is no event for
// it: wstest says nothing when it does.
func waitForListener(ctx context.Context, addr string) error {
	var d net.Dialer
	for {
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// usedAddresses are the addresses that freeAddress has given away.
var usedAddresses sync.Map

// freeAddress returns a loopback address that nobody listens at, another one
// with every call.
func freeAddress() (string, error) {
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := ln.Addr().String()
		ln.Close()
		if _, twice := usedAddresses.LoadOrStore(addr, true); !twice {
			return addr, nil
		}
	}
}
