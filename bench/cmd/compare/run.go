//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// bench is a run of the comparison.
type bench struct {
	*settings
	stdout, stderr io.Writer
	launcher       *rig.Launcher
	dir            string // of the binaries
	cpus           []int  // that it may use
	serverCPU      int
	loadCPU        int
	results        *report.Results
}

// loadEnv keeps the load generator from collecting garbage, unless there is very
// much.
var loadEnv = []string{"GOGC=off", "GOMEMLIMIT=2GiB"}

// memoryRounds bounds how often memory is measured, which varies little.
const memoryRounds = 3

// prepare builds the servers and looks at the machine.
func prepare(ctx context.Context, s *settings, stdout, stderr io.Writer) (*bench, error) {
	b := &bench{settings: s, stdout: stdout, stderr: stderr, launcher: rig.NewLauncher()}
	b.results = &report.Results{Date: time.Now().UTC().Truncate(time.Second), Command: s.command, Rounds: s.rounds, Time: s.time, Machine: report.ThisMachine()}
	cpus, err := rig.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	b.cpus, b.serverCPU, b.loadCPU = cpus, cpus[0], cpus[min(1, len(cpus)-1)]
	b.results.Machine.CPUs = len(cpus)
	b.results.Machine.Pinning = fmt.Sprintf("server on CPU %d, load on CPU %d", b.serverCPU, b.loadCPU)
	if len(cpus) == 1 {
		b.note("There is one CPU only: server and load take turns on it, and rates and round trips tell little.")
	}
	if err := b.limitConns(); err != nil {
		return nil, err
	}
	module, err := rig.ModuleDir()
	if err != nil {
		return nil, err
	}
	b.results.Machine.Revision = rig.Revision(ctx, module)
	if b.dir, err = os.MkdirTemp("", "websocket-bench-"); err != nil {
		return nil, err
	}
	fmt.Fprintln(stderr, "building the servers")
	failed := build(ctx, module, b.dir, s.servers)
	if err := ctx.Err(); err != nil {
		b.close()
		return nil, err
	}
	for _, sc := range s.scenarios {
		b.results.Scenarios = append(b.results.Scenarios, sc.Scenario)
	}
	for _, sv := range s.servers {
		r, err := sv.entry(), failed[sv.pkg]
		if err == nil {
			r, err = describe(filepath.Join(b.dir, sv.pkg), sv, &b.results.Machine)
		}
		b.results.Servers = append(b.results.Servers, r)
		if err != nil {
			fmt.Fprintln(stderr, err)
			for _, sc := range s.scenarios {
				b.results.Fail(sc.Name, sv.name, "it does not build")
			}
		}
	}
	return b, nil
}

func (b *bench) note(text string) {
	b.progress("")
	fmt.Fprintln(b.stderr, "note:", text)
	b.results.Notes = append(b.results.Notes, text)
}

// progress shows a line in place of the last such line, on a terminal.
func (b *bench) progress(format string, args ...any) {
	f, ok := b.stderr.(*os.File)
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(f, "\r\033[K"+format, args...)
	}
}

// limitConns lowers the number of connections to what may be opened. Both the
// server and the load generator need a descriptor for each.
func (b *bench) limitConns() error {
	const others = 200
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	if limit.Max < 2*others {
		return fmt.Errorf("a process may open %d files, which is too few (ulimit -n)", limit.Max)
	}
	allowed := int(min(limit.Max, 1<<30)) - others
	for i := range b.scenarios {
		if sc := &b.scenarios[i]; sc.job.Conns > allowed {
			b.note(fmt.Sprintf("%s: with %d connections instead of %d, as a process may open %d files (ulimit -n).",
				sc.Name, allowed, sc.job.Conns, limit.Max))
			sc.Title = strings.ReplaceAll(sc.Title, report.Thousands(sc.job.Conns), report.Thousands(allowed))
			sc.job.Conns = allowed
		}
	}
	return nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// measureAll measures everything, scenario after scenario. Within a scenario, every
// round measures every server, and the order changes from round to round, so that
// disturbances of the machine affect all alike.
func (b *bench) measureAll(ctx context.Context) error {
	failures := 0
	for _, sc := range b.scenarios {
		rounds := b.rounds
		if sc.job.Kind == load.Memory {
			rounds = max(1, min(rounds/2, memoryRounds))
		}
		if sc.sameRate {
			rate, err := b.sameRate(ctx, sc)
			if err != nil {
				return err
			}
			if rate > 0 {
				b.note(fmt.Sprintf("%s: %s messages a second, half of what the slowest server can do.", sc.Name, report.Thousands(int(rate))))
			}
			sc.job.Rate = rate
		}
		for round := range rounds {
			for i := range b.servers {
				sv := b.servers[(i+round)%len(b.servers)]
				if c := b.results.Cell(sc.Name, sv.name); c != nil && (c.Missing != "" || c.Failed != "") {
					continue
				}
				b.progress("%s, round %d of %d: %s", sc.Name, round+1, rounds, sv.name)
				samples, err := b.measure(ctx, sc, sv)
				if err != nil && !errors.Is(err, rig.ErrUnsupported) && ctx.Err() == nil {
					b.note(fmt.Sprintf("%s, %s: repeated, as it failed at first: %v", sc.Name, sv.name, err))
					samples, err = b.measure(ctx, sc, sv)
				}
				b.progress("")
				switch {
				case ctx.Err() != nil:
					b.note("The run was interrupted; what is missing was not measured.")
					return fmt.Errorf("interrupted: %w", ctx.Err())
				case errors.Is(err, rig.ErrUnsupported):
					b.results.Miss(sc.Name, sv.name, "not supported")
				case err != nil:
					failures++
					fmt.Fprintf(b.stderr, "%s, %s: %v\n", sc.Name, sv.name, err)
					b.results.Fail(sc.Name, sv.name, err.Error())
				default:
					b.results.Add(sc.Name, sv.name, samples)
				}
			}
		}
		report.Text(b.stdout, b.results, sc.Name)
	}
	if failures > 0 {
		return fmt.Errorf("%d measurements have failed", failures)
	}
	return nil
}
