//go:build linux

// Command polling measures the cost of the same updates by polling, long polling,
// server-sent events and WebSocket: bytes on the wire, server CPU, delay.
//
//	go run ./cmd/polling [flags]
//
// It writes polling.json, polling.md and polling-summary.md to the folder
// results. ../../README.md describes the measurements.
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
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/feed"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
	"github.com/fullduplex-go/websocket/bench/internal/wire"
)

func main() {
	switch {
	case rig.IsLoad():
		loadMain()
		return
	case os.Getenv(serverEnv) != "":
		serverMain()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var bad *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "polling:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "polling:", err)
		os.Exit(1)
	}
}

// loadMain is the program as load generator.
func loadMain() {
	rig.LoadMain(func(ctx context.Context, job wire.Job, _ func(string) error) (wire.Result, error) {
		return wire.Run(ctx, job)
	})
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func wrong(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// settings hold the flags of the command line.
type settings struct {
	command    string
	out        string // folder for the results, or "" for none
	render     string // results to render again
	transports []transport
	rounds     int
	time       time.Duration
	clients    int
	size       int
	every      time.Duration
}

const usage = `usage: go run ./cmd/polling [flags]

Transports: %s

flags:
`

func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{command: strings.Join(append([]string{"go run ./cmd/polling"}, args...), " ")}
	flags := flag.NewFlagSet("polling", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		var names []string
		for _, t := range transports {
			names = append(names, t.name)
		}
		fmt.Fprintf(out, usage, strings.Join(names, " "))
		flags.PrintDefaults()
	}
	flags.StringVar(&s.out, "o", "", "write polling.json, polling.md and polling-summary.md to this `folder`\n(default results, or none with -transports)")
	flags.StringVar(&s.render, "render", "", "measure nothing, and write the Markdown of this polling.json again, beside it or to -o")
	names := flags.String("transports", "", "only these, by `names` with commas")
	flags.IntVar(&s.rounds, "rounds", 5, "how often everything is measured")
	flags.DurationVar(&s.time, "time", time.Second, "how long it is measured each time")
	flags.IntVar(&s.clients, "clients", 1000, "how many clients there are")
	flags.IntVar(&s.size, "size", 100, "bytes of JSON in an update")
	flags.DurationVar(&s.every, "every", 250*time.Millisecond, "time from one update of a client to the next, and from poll to poll")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, wrong("%v", err)
	}
	switch {
	case flags.NArg() > 0:
		return nil, wrong("what is %q?", flags.Arg(0))
	case s.rounds < 1 || s.time < 10*time.Millisecond || s.time > time.Minute:
		return nil, wrong("-rounds is at least 1, -time is between 10ms and 1m")
	case s.every < 10*time.Millisecond || s.every > time.Minute:
		return nil, wrong("-every is between 10ms and 1m")
	}
	if _, err := feed.NewSource(s.clients, s.every, s.size); err != nil {
		return nil, wrong("%v", err)
	}
	if s.out == "" && *names == "" {
		s.out = "results"
	}
	return s, s.choose(*names)
}

// choose picks the transports.
func (s *settings) choose(names string) error {
	s.transports = transports
	if names == "" {
		return nil
	}
	s.transports = nil
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(transports, func(t transport) bool { return t.name == strings.TrimSpace(name) })
		if i < 0 {
			return wrong("there is no transport %q; -h lists them", name)
		}
		s.transports = append(s.transports, transports[i])
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.render != "" {
		r, err := load(s.render)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(args, func(a string) bool {
			return strings.TrimLeft(a, "-") == "o" || strings.HasPrefix(strings.TrimLeft(a, "-"), "o=")
		}) {
			s.out = filepath.Dir(s.render)
		}
		return r.write(s.out, stdout)
	}
	began := time.Now()
	b, err := prepare(ctx, s, stderr)
	if err != nil {
		return err
	}
	err = b.measureAll(ctx)
	b.results.text(stdout)
	fmt.Fprintf(stdout, "\nThat took %v.\n", time.Since(began).Round(time.Second))
	if s.out != "" && b.results.any() {
		err = errors.Join(err, b.results.save(s.out), b.results.write(s.out, stdout))
	}
	return err
}
