//go:build linux

// Command compare measures WebSocket servers of Go side by side: real
// processes, one load generator, server CPU per message.
//
//	go run ./cmd/compare [flags] [quick|full]
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
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

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

func wrong(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// settings hold the flags of the command line.
type settings struct {
	mode      string
	command   string
	out       string // folder for the results, or "" for none
	render    string // results to render again
	servers   []server
	scenarios []scenario
	rounds    int
	time      time.Duration
	conns     int
}

const usage = `usage: go run ./cmd/compare [flags] [quick|full]

  quick  the scenarios that matter most, three short rounds: some 3 minutes
  full   everything, seven rounds: some 25 minutes

Scenarios: %s
Servers:   %s

flags:
`

func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{command: strings.Join(append([]string{"go run ./cmd/compare"}, args...), " ")}
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		var names, all []string
		for _, sc := range scenarios(10000) {
			all = append(all, sc.Name)
		}
		for _, sv := range servers {
			names = append(names, sv.name)
		}
		fmt.Fprintf(out, usage, strings.Join(all, " "), strings.Join(names, " "))
		flags.PrintDefaults()
	}
	flags.StringVar(&s.out, "o", "", "write results.json, results.md and plots to this `folder` (default results,\nor none with -servers or -scenarios)")
	flags.StringVar(&s.render, "render", "", "measure nothing, and write the Markdown and the plots of this results.json again,\nbeside it or to -o")
	names := flags.String("servers", "", "only these servers, by `names` with commas")
	pattern := flags.String("scenarios", "", "only the scenarios whose name matches this `regexp`, of all there are")
	flags.IntVar(&s.rounds, "rounds", 0, "how often everything is measured (default 3, or 7 if full)")
	flags.DurationVar(&s.time, "time", 0, "how long a load is measured (default 300ms, or 500ms if full)")
	flags.IntVar(&s.conns, "conns", 10000, "idle connections for the memory scenario")
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, wrong("%v", err)
		}
		if flags.NArg() == 0 {
			break
		}
		if s.mode != "" || flags.Arg(0) != "quick" && flags.Arg(0) != "full" {
			return nil, wrong("one of quick and full, not %q", flags.Arg(0))
		}
		s.mode, rest = flags.Arg(0), flags.Args()[1:]
	}
	if s.mode == "" {
		s.mode = "quick"
	}
	full := s.mode == "full"
	if s.rounds == 0 {
		s.rounds = 3
		if full {
			s.rounds = 7
		}
	}
	if s.time == 0 {
		s.time = 300 * time.Millisecond
		if full {
			s.time = 500 * time.Millisecond
		}
	}
	if s.rounds < 1 || s.time < 10*time.Millisecond || s.time > time.Minute || s.conns < 1 {
		return nil, wrong("-rounds and -conns are at least 1, -time is between 10ms and 1m")
	}
	if s.out == "" && *names == "" && *pattern == "" {
		s.out = "results"
	}
	return s, s.choose(*names, *pattern, full)
}

// choose picks the servers and the scenarios.
func (s *settings) choose(names, pattern string, full bool) error {
	s.servers = servers
	if names != "" {
		s.servers = nil
		for name := range strings.SplitSeq(names, ",") {
			i := slices.IndexFunc(servers, func(sv server) bool { return sv.name == strings.TrimSpace(name) })
			if i < 0 {
				return wrong("there is no server %q; -h lists them", name)
			}
			s.servers = append(s.servers, servers[i])
		}
	}
	want, err := regexp.Compile(pattern)
	if err != nil {
		return wrong("-scenarios: %v", err)
	}
	for _, sc := range scenarios(s.conns) {
		if want.MatchString(sc.Name) && (full || pattern != "" || sc.quick) {
			s.scenarios = append(s.scenarios, sc)
		}
	}
	if len(s.scenarios) == 0 {
		return wrong("no scenario matches %q; -h lists them", pattern)
	}
	return nil
}

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
