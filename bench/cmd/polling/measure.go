//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
	"github.com/fullduplex-go/websocket/bench/internal/wire"
)

// bench is a run of the comparison.
type bench struct {
	*settings
	stderr    io.Writer
	launcher  *rig.Launcher
	serverCPU int
	loadCPU   int
	results   *results
}

// prepare looks at the machine.
func prepare(ctx context.Context, s *settings, stderr io.Writer) (*bench, error) {
	const others = 200
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("getrlimit: %w", err)
	}
	if limit.Max < uint64(s.clients)+others {
		return nil, fmt.Errorf("a process may open %d files (ulimit -n), which is too few for %d clients: choose -clients", limit.Max, s.clients)
	}
	cpus, err := rig.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	module, err := rig.ModuleDir()
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, stderr: stderr, launcher: rig.NewLauncher(), results: newResults(s)}
	b.serverCPU, b.loadCPU = cpus[0], cpus[min(1, len(cpus)-1)]
	m := &b.results.Machine
	m.CPUs = len(cpus)
	m.Pinning = fmt.Sprintf("server on CPU %d, clients on CPU %d", b.serverCPU, b.loadCPU)
	m.Revision = rig.Revision(ctx, module)
	if len(cpus) == 1 {
		b.note("There is one CPU only: server and clients take turns on it, and delays tell little.")
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

// measureAll measures everything. Each round measures every transport, and the order
// changes from round to round, so that disturbances of the machine affect all alike.
func (b *bench) measureAll(ctx context.Context) error {
	failures := 0
	for round := range b.rounds {
		for i := range b.transports {
			n := (i + round) % len(b.transports)
			t, row := b.transports[n], &b.results.Rows[n]
			if row.Failed != "" {
				continue
			}
			b.progress("round %d of %d: %s", round+1, b.rounds, t.name)
			result, err := b.measure(ctx, t, row)
			if err != nil && ctx.Err() == nil {
				b.note(fmt.Sprintf("%s: repeated, as it failed at first: %v", t.name, err))
				result, err = b.measure(ctx, t, row)
			}
			b.progress("")
			switch {
			case ctx.Err() != nil:
				b.note("The run was interrupted; what is missing was not measured.")
				return fmt.Errorf("interrupted: %w", ctx.Err())
			case err != nil:
				failures++
				fmt.Fprintf(b.stderr, "%s: %v\n", t.name, err)
				row.Failed = err.Error()
			default:
				row.add(result)
			}
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d measurements have failed", failures)
	}
	return nil
}

// measure does one job with a server that is started for it and stopped.
func (b *bench) measure(ctx context.Context, t transport, row *row) (wire.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return wire.Result{}, err
	}
	mode, compress := contract.Conn, contract.Off
	if t.mode != "" {
		mode = t.mode
	}
	if t.job.Compressed {
		compress = contract.Takeover
	}
	cmd := exec.Command(self, "-mode", string(mode), "-compress", string(compress), fmt.Sprintf("-tls=%v", t.job.TLS),
		"-topics", fmt.Sprint(b.clients), "-every", t.every(b.settings).String(), "-size", fmt.Sprint(b.size))
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	server, err := b.launcher.StartServer(ctx, cmd, b.serverCPU)
	if err != nil {
		return wire.Result{}, err
	}
	defer server.Stop()
	job := t.job
	job.Addr, job.PID = server.Addr, server.PID()
	job.Clients, job.Size, job.Every, job.Poll = b.clients, b.size, t.every(b.settings), b.every
	job.Warmup, job.Time = b.time/4, b.time
	result, err := rig.RunLoad[wire.Result](ctx, b.launcher, []int{b.loadCPU}, nil, job, nil)
	if err != nil {
		return wire.Result{}, server.Diagnose(ctx, err)
	}
	if err := server.Alive(); err != nil {
		return wire.Result{}, err
	}
	server.Stop()
	if text := server.Stderr(); text != "" {
		return wire.Result{}, errors.New("the server writes to standard error: " + text)
	}
	if result.Missed > 0 {
		row.Note = fmt.Sprintf("%.0f updates were overtaken by the next before they were fetched", result.Missed)
	}
	return result, nil
}
