//go:build linux

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// build compiles the programs of the given servers into dir. A program that
// does not compile is reported in the results of its servers and left out.
func build(ctx context.Context, bench, dir string, list []server) map[string]error {
	failed := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := make(map[string]bool)
	slots := make(chan struct{}, 2)
	for _, s := range list {
		if seen[s.pkg] {
			continue
		}
		seen[s.pkg] = true
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, s.pkg), "./cmd/"+s.pkg)
			cmd.Dir = bench
			if text, err := cmd.CombinedOutput(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[s.pkg] = fmt.Errorf("go build ./cmd/%s: %w\n%s", s.pkg, err, bytes.TrimSpace(text))
			}
		})
	}
	wg.Wait()
	return failed
}

// entry returns the server's entry in the results.
func (s server) entry() report.Server {
	r := report.Server{Name: s.name, Kind: s.kind, Loop: s.mode == "loop", Floor: s.floor, Flags: s.flags()}
	if s.window != "" || s.hub {
		i := slices.IndexFunc(servers, func(other server) bool {
			return other.pkg == s.pkg && other.mode == s.mode && other.window == "" && !other.hub
		})
		r.Of = servers[i].name
	}
	return r
}

// describe fills in the build information of a server's binary, and notes the
// version of Go that has built it.
func describe(program string, s server, machine *report.Machine) (report.Server, error) {
	r := s.entry()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return r, err
	}
	machine.Go = info.GoVersion
	for _, m := range info.Deps {
		version := m.Path + " " + m.Version
		if m.Path == rig.OurModule {
			version = m.Path + " (this tree)"
		}
		if m.Path == s.module {
			r.Module = version
		}
		r.Modules = append(r.Modules, version)
	}
	if s.module == "" {
		r.Module = "standard library"
	}
	return r, nil
}
