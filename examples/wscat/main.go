// Command wscat talks to a WebSocket server from the command line.
//
//	cd examples/wscat
//	go run . [flags] ws://HOST:PORT/PATH
//	go run . bench [flags] ws://HOST:PORT/PATH
//
// Each line of standard input goes out as a text message, without its line
// ending. Each text message that comes in is a line of standard output, each
// binary one a hex dump there. Events of the connection go to standard error. In a
// terminal the line can be edited, and the arrow keys bring back earlier ones.
//
// With -hex a line is the hex digits of a binary message, in both directions.
// With -binary nothing is converted: every block read from standard input, of
// 32 KiB at most, goes out as a binary message, and the payloads of all
// messages go to standard output as they are.
//
// When standard input ends, wscat goes on receiving for the time given by
// -wait, so that replies to the last lines arrive, and then closes the
// connection with status 1000. An interrupt (Ctrl-C) or SIGTERM closes it at
// once, in the same orderly way; a second one ends the program there and
// then.
//
// # Scripts
//
// With -x standard input is not read. The expressions are carried out one
// after the other, and then the connection is closed:
//
//	send TEXT       sends a text message
//	hex DIGITS      sends a binary message
//	expect REGEXP   waits for a message that matches, for -timeout at most
//	sleep TIME      waits for that time, for instance 500ms
//	ping            measures a round trip
//	close [CODE [REASON]]
//
// For instance:
//
//	go run . -x 'send hello' -x 'expect ^hello$' ws://127.0.0.1:9001/
//
// expect takes the messages in the order in which they came, and each of them
// once. A binary message is matched as the hex digits that -hex shows.
//
// # Bench
//
// wscat bench opens many connections to a server that echoes. Each sends a
// message, waits for its echo, and sends the next. At the end wscat prints how
// long that took, as a histogram.
//
// # Exit code
//
//	0  the connection was closed with status 1000, by either side and with the
//	   other one's answer, and standard input and output did not fail
//	1  anything else went wrong
//	2  the command line is wrong
//	3  an expect of a script was not met
//
// # Where to look
//
//	main.go      flags
//	target.go    how to connect: headers, TLS, compression
//	timing.go    -v: the steps of the handshake, with the time that each took
//	session.go   one connection: sends typed lines, shows messages
//	show.go      how a message looks on standard output
//	script.go    -x
//	terminal.go  the line that is being typed, in a terminal
//	bench.go     wscat bench; histogram.go counts its round trips
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exit codes other than 0.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitNoMatch = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// config is the command line of a session.
type config struct {
	target
	binary  bool
	hex     bool
	ping    time.Duration
	wait    time.Duration
	timeout time.Duration
	script  []step
}

func parse(args []string, stderr io.Writer) (*config, error) {
	cfg := new(config)
	flags := newFlagSet("wscat [flags] ws://HOST:PORT/PATH\n       wscat bench [flags] ws://HOST:PORT/PATH", stderr)
	cfg.target.register(flags)
	flags.BoolVar(&cfg.binary, "binary", false, "send binary messages, and receive without any conversion")
	flags.BoolVar(&cfg.hex, "hex", false, "lines are hex digits of binary messages, sent and received")
	flags.DurationVar(&cfg.ping, "ping", 0, "send a ping at this `interval` and print the round-trip times")
	flags.DurationVar(&cfg.wait, "wait", time.Second, "`time` to go on receiving after the end of standard input;\nnegative: until the server closes")
	flags.DurationVar(&cfg.timeout, "timeout", 10*time.Second, "with -x, the `time` that an expect may take")
	flags.Func("x", "carry out this `expression` instead of reading standard input; may be repeated:\n"+
		"send TEXT, hex DIGITS, expect REGEXP, sleep TIME, ping, close [CODE [REASON]]", func(s string) error {
		st, err := parseStep(s)
		cfg.script = append(cfg.script, st)
		return err
	})
	if err := cfg.parse(flags, args); err != nil {
		return nil, err
	}
	if cfg.binary && cfg.hex {
		return nil, usageError(flags, errors.New("-binary and -hex exclude each other"))
	}
	return cfg, nil
}

func newFlagSet(usage string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("wscat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage:", usage)
		flags.PrintDefaults()
	}
	return flags
}

// usageError prints an error in the command line, and the usage.
func usageError(flags *flag.FlagSet, err error) error {
	fmt.Fprintln(flags.Output(), "wscat:", err)
	flags.Usage()
	return err
}

// run is the program: it returns the exit code. It ends with the connection,
// even if a read of stdin is still waiting then.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "bench" {
		return runBench(ctx, args[1:], stdout, stderr)
	}
	cfg, err := parse(args, stderr)
	if err != nil {
		return exitCode(err)
	}
	s := newSession(cfg, stdout, stderr)
	c, resp, err := cfg.dial(ctx, s.status)
	if err != nil {
		printRefusal(s.status, resp, err)
		return exitFailed
	}
	return s.run(ctx, c, resp, stdin)
}

// exitCode is the exit code of a command line that does not lead to a connection.
func exitCode(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	return exitUsage
}
