package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// runServerShard has the suite's fuzzing client try a server of ours.
func runServerShard(ctx context.Context, sh *shard) error {
	server, err := startEchoServer(sh.mode)
	if err != nil {
		return err
	}
	defer server.stop()
	if err := sh.configure("fuzzingclient", map[string]any{
		"servers": []map[string]string{{"agent": agent, "url": server.url}},
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(startLimit+stallLimit, func() { cancel(errStalled) })
	defer watchdog.Stop()

	var promised, unreachable atomic.Bool
	cmd := sh.tool.start(ctx, sh.path(""), "-m", "fuzzingclient", "-s", "config.json")
	err = runLogged(ctx, cmd, sh.path("wstest.log"), func(line string) {
		if id, found := caseInLine(line); found {
			watchdog.Reset(stallLimit)
			sh.begin(id)
		}
		if strings.HasPrefix(line, fmt.Sprintf("Ok, will run %d test cases against 1 servers", len(sh.cases))) {
			promised.Store(true)
		}
		if strings.HasPrefix(line, "Connection to ") && strings.Contains(line, " failed ") {
			unreachable.Store(true) // wstest skips the rest, writes its reports and is content
		}
	})
	switch {
	case err != nil:
		return fmt.Errorf("wstest: %w", err)
	case unreachable.Load():
		return errors.New("wstest could not connect to our server")
	case !promised.Load():
		return fmt.Errorf("wstest did not run %d cases", len(sh.cases))
	}
	sh.begin("")
	return nil
}

// caseInLine finds the case in what wstest prints when one begins.
func caseInLine(line string) (string, bool) {
	rest, found := strings.CutPrefix(line, "Running test case ID ")
	if !found {
		return "", false
	}
	id, _, _ := strings.Cut(rest, " ")
	return id, id != ""
}
