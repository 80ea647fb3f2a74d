//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// does reports whether a server is measured in a scenario.
func (s server) does(sc scenario) bool {
	switch {
	case s.kind == report.Floor && !sc.floors, s.kind != report.Ours && sc.ours:
		return false
	case s.window != "" && sc.job.Compress != load.Takeover, s.hub && sc.job.Kind != load.Broadcast:
		return false
	}
	return true
}

// measure does one job with one server, which is started for it and stopped.
func (b *bench) measure(ctx context.Context, sc scenario, sv server) (map[string]float64, error) {
	if !sv.does(sc) || sc.shared && len(b.cpus) < 2 {
		return nil, rig.ErrUnsupported
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	compress := sc.job.Compress
	if compress == "" {
		compress = "off"
	}
	args := append(sv.flags(), "-addr", "127.0.0.1:0", "-compress", compress, fmt.Sprintf("-tls=%v", sc.job.TLS))
	onServer, onLoad := []int{b.serverCPU}, []int{b.loadCPU}
	if sc.shared {
		onServer, onLoad = b.cpus[:2], b.cpus[:2]
	}
	p, err := b.launcher.StartServer(ctx, exec.Command(filepath.Join(b.dir, sv.pkg), args...), onServer...)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	job := sc.job
	job.Addr, job.PID, job.Raw = p.Addr, p.PID(), sv.kind == report.Floor
	job.Warmup, job.Time = b.time/2, b.time
	job.Spin = b.serverCPU != b.loadCPU && !sc.shared
	resident := make(map[string]float64)
	result, err := rig.RunLoad[load.Result](ctx, b.launcher, onLoad, loadEnv, job, func(state string) error {
		if err := p.Collect(ctx); err != nil {
			return err
		}
		n, err := load.Resident(job.PID)
		resident[state] = float64(n)
		return err
	})
	if err != nil {
		return nil, p.Diagnose(ctx, err)
	}
	if err := p.Alive(); err != nil {
		return nil, err
	}
	p.Stop()
	if text := p.Stderr(); text != "" {
		b.results.Note(sc.Name, sv.name, "writes to standard error: "+text)
	}
	if result.Extensions != "" {
		b.results.Note(sc.Name, sv.name, "negotiates "+result.Extensions)
	}
	if job.Kind == load.Memory {
		base, n := resident[load.PauseEmpty], float64(job.Conns)
		return map[string]float64{
			report.Baseline: base,
			report.Idle:     (resident[load.PauseIdle] - base) / n,
			report.Used:     (resident[load.PauseUsed] - base) / n,
		}, nil
	}
	return samplesOf(job, result), nil
}

// samplesOf are the metrics of a job under load.
func samplesOf(job load.Job, result load.Result) map[string]float64 {
	samples := map[string]float64{
		report.CPU:  micros(result.CPU) / result.Messages,
		report.Rate: result.Messages / result.Wall.Seconds(),
		report.Busy: result.CPU.Seconds() / result.Wall.Seconds(),
		report.P50:  micros(result.P50),
		report.P99:  micros(result.P99),
	}
	if result.Writes >= 0 {
		samples[report.Writes] = float64(result.Writes) / result.Messages
	}
	switch job.Kind {
	case load.Echo:
		samples[report.Wire] = float64(result.Wire) / result.Messages
		samples[report.Sent] = float64(result.Sent) / result.Messages
		if job.TLS {
			samples[report.Records] = float64(result.Records) / result.Messages
		}
	case load.FixedRate:
		samples[report.P999] = micros(result.P999)
		if result.Capacity > 0 {
			samples[report.Capacity] = result.Capacity
		}
	}
	return samples
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// sameRate measures what each server can do, and returns half of the least. It is 0 if
// none can do the scenario; a server that fails does so in its rounds, too.
func (b *bench) sameRate(ctx context.Context, sc scenario) (float64, error) {
	var least float64
	for _, sv := range b.servers {
		b.progress("%s, how much is possible: %s", sc.Name, sv.name)
		samples, err := b.measure(ctx, sc, sv)
		b.progress("")
		if ctx.Err() != nil {
			return 0, fmt.Errorf("interrupted: %w", ctx.Err())
		}
		if capacity := samples[report.Capacity]; err == nil && (least == 0 || capacity < least) {
			least = capacity
		}
	}
	return least / 2, nil
}
