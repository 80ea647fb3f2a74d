// Command autobahn runs the original Autobahn|Testsuite against this library
// and judges the result.
//
//	go run ./autobahn server|client|all [-cases 1.*,6.4.*] [-report DIR]
//
// With "server" the suite's fuzzing client tries our server, with "client"
// our client visits the suite's fuzzing server. README.md tells what the
// suite needs, and what it does not prove.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// agent is the name under which the suite files our results.
const agent = "fullduplex-go/websocket"

const usage = `usage: go run ./autobahn server|client|all [flags]

  server  the suite's fuzzing client tries our server
  client  our client visits the suite's fuzzing server
  all     both, one after the other

flags:
`

func main() {
	ignoreBrokenPipe()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout)
	var bad *usageError
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "autobahn:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "autobahn:", err)
		os.Exit(1)
	}
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// settings holds the command line.
type settings struct {
	sides    []string // "server", "client"
	cases    []string // in the suite's order
	allCases bool     // cases are all that there are
	shards   int
	mode     string // of our server: "conn" or "loop"
	report   string // directory, or "" for none
	timeout  time.Duration
}

func parse(args []string, out io.Writer) (*settings, error) {
	s := new(settings)
	flags := flag.NewFlagSet("autobahn", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	patterns := flags.String("cases", "", "only the cases that match one of these `patterns`, such as 1.*,6.4.*,9.1.6")
	flags.StringVar(&s.report, "report", "", "keep the summary (index.html) and the suite's own reports in this `directory`")
	flags.StringVar(&s.mode, "mode", "conn", "how our server waits for connections: conn, a goroutine for each, or loop")
	flags.IntVar(&s.shards, "shards", min(2*runtime.NumCPU(), 16), "run so many suites at a time")
	flags.DurationVar(&s.timeout, "timeout", 20*time.Minute, "give each side up after so long")
	if len(args) == 0 {
		flags.Usage()
		return nil, &usageError{"say which side to test"}
	}
	switch args[0] {
	case "server", "client":
		s.sides = args[:1]
	case "all":
		s.sides = []string{"server", "client"}
	case "-h", "-help", "--help", "help":
		flags.Usage()
		return nil, flag.ErrHelp
	default:
		return nil, &usageError{fmt.Sprintf("%q is none of server, client and all", args[0])}
	}
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, &usageError{err.Error()}
	}
	if flags.NArg() > 0 {
		return nil, &usageError{fmt.Sprintf("unexpected argument %q", flags.Arg(0))}
	}
	if s.mode != "conn" && s.mode != "loop" {
		return nil, &usageError{fmt.Sprintf("-mode is %q, want conn or loop", s.mode)}
	}
	if s.shards < 1 {
		return nil, &usageError{"-shards must be at least 1"}
	}
	var err error
	s.cases, err = selectCases(*patterns)
	s.allCases = len(s.cases) == len(allCases())
	return s, err
}

// run runs the command line. An error means that something failed, such as one case of
// the suite.
func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args, out)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "autobahn-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	dir := work
	if s.report != "" {
		if dir, err = prepareReportDir(s.report, s.sides); err != nil {
			return err
		}
	}
	tool, err := findSuite(ctx, work, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "suite: %s\n", tool)

	var reports []*report
	for _, side := range s.sides {
		r := runSide(ctx, tool, side, s, dir, out)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		r.print(out)
		reports = append(reports, r)
	}
	if s.report != "" {
		path, err := writeSummary(dir, tool.version, reports)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\nsummary: %s\n", path)
	}
	return verdict(reports)
}

// verdict is an error unless every side has passed.
func verdict(reports []*report) error {
	var bad []error
	for _, r := range reports {
		if !r.passed() {
			bad = append(bad, fmt.Errorf("%s: %s", r.Side, r.summary()))
		}
	}
	return errors.Join(bad...)
}
