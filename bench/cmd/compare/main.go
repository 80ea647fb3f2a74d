//go:build linux

// Command compare measures WebSocket servers of Go side by side: real
// processes, one load generator, server CPU per message.
//
//	go run ./cmd/compare [flags] [quick|full|tls|edges]
//
// It prints tables as it goes and writes results.json, results.md and plots.
// ../../README.md describes the measurements.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

func main() {
	if rig.IsLoad() {
		loadMain()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var bad *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// loadMain is the program as load generator.
func loadMain() {
	rig.LoadMain(func(ctx context.Context, job load.Job, pause func(string) error) (load.Result, error) {
		return load.Run(ctx, job, pause)
	})
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usageErrorf(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.render != "" {
		r, err := report.Load(s.render)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(args, func(a string) bool {
			return strings.TrimLeft(a, "-") == "o" || strings.HasPrefix(strings.TrimLeft(a, "-"), "o=")
		}) {
			s.out = filepath.Dir(s.render)
		}
		return write(r, s.out, stdout)
	}
	b, err := prepare(ctx, s, stdout, stderr)
	if err != nil {
		return err
	}
	defer b.close()
	err = b.measureAll(ctx)
	if s.out != "" && len(b.results.Cells) > 0 {
		err = errors.Join(err, os.MkdirAll(s.out, 0o755), b.results.Save(filepath.Join(s.out, "results.json")), write(b.results, s.out, stdout))
	}
	return err
}

// write renders the results to a folder.
func write(r *report.Results, dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := report.Render(r)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%s: %d files\n", dir, len(files))
	return nil
}
