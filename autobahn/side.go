package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// startLimit is how long wstest may take until it listens or answers: it
// loads a lot of Python, on a machine that may be busy.
const startLimit = time.Minute

// shard is one suite at work on a part of the cases.
type shard struct {
	cases []string
	dir   string // holds its configuration, log and reports; relative to root
	root  string
	tool  *suite
	mode  string // of our server
	// begin is called with each case that begins.
	begin func(id string)
}

func (s *shard) path(name string) string { return filepath.Join(s.root, s.dir, name) }

// runSide runs one side's cases and returns the results. Failures are in the report.
func runSide(ctx context.Context, tool *suite, side string, s *settings, root string, out io.Writer) *report {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("the time of %v is up", s.timeout))
	defer cancel()
	parts := split(s.cases, s.shards)
	r := &report{Side: side, Shards: len(parts)}
	progress := startProgress(out, side, len(s.cases))
	defer progress.stop()

	if s.allCases {
		if err := checkCount(ctx, tool, root); err != nil {
			r.problem("%v", err)
		}
	}
	run := runServerShard
	if side == "client" {
		run = runClientShard
	}
	found := make(map[string]result)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, cases := range parts {
		name := fmt.Sprintf("%s/shard-%d", side, i+1)
		sh := &shard{cases: cases, dir: name, root: root, tool: tool, mode: s.mode, begin: progress.shard()}
		wg.Go(func() {
			err := os.MkdirAll(sh.path(""), 0o755)
			if err == nil {
				err = run(ctx, sh)
			}
			results, readErr := sh.results()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.problem("%s: %v%s", name, err, logTail(sh.path("wstest.log")))
			}
			if readErr != nil {
				r.problem("%s: %v", name, readErr)
			}
			for id, res := range results {
				found[id] = res
			}
		})
	}
	wg.Wait()
	r.Results = collect(s.cases, found)
	r.Elapsed = time.Since(start)
	return r
}

// collect puts results into the order of the cases and fills the gaps.
func collect(cases []string, found map[string]result) (list []result) {
	for _, id := range cases {
		res, there := found[id]
		if !there {
			res = result{ID: id, outcome: outcome{missing, missing}, Reason: "the suite reported nothing about this case"}
		}
		list = append(list, res)
	}
	return list
}

// logTail returns the last lines of a log for people, or nothing.
func logTail(path string) string {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return ""
	}
	return "\n  | " + strings.ReplaceAll(tail(path, 12), "\n", "\n  | ")
}

// checkCount compares the number of cases that the suite has with ours: cases
// that we do not know would not be run.
func checkCount(ctx context.Context, tool *suite, root string) error {
	sh := &shard{cases: []string{"*"}, dir: "count", root: root, tool: tool}
	if err := os.MkdirAll(sh.path(""), 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(sh.path(""))
	err := sh.withFuzzingServer(ctx, len(allCases()), func(context.Context, *fuzzingServer) error { return nil })
	if err != nil {
		return fmt.Errorf("counting the cases: %w%s", err, logTail(sh.path("wstest.log")))
	}
	return nil
}
