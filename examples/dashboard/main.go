package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const defaultAddr = "127.0.0.1:8080"

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

// options holds the flags of the command line.
type options struct {
	config
	addr    string
	anyPort bool // if the port of addr is taken
	debug   bool
}

func parseFlags(args []string, help io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("dashboard", flag.ContinueOnError)
	fs.SetOutput(help)
	fs.StringVar(&o.addr, "addr", defaultAddr, "`host:port` to listen on; :8080 lets other devices in. If the port is taken\nany free one is used, unless -addr is given")
	fs.IntVar(&o.instruments, "instruments", 320, "how many instruments there are, up to 1000")
	fs.IntVar(&o.rate, "rate", 60, "how often per second an instrument can be traded at most, up to 120")
	fs.BoolVar(&o.debug, "debug", false, "answer /debug/stats, for everybody, with counters in JSON")
	fs.Uint64Var(&o.seed, "seed", 1, "the same seed makes the same market")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.anyPort = true
	fs.Visit(func(f *flag.Flag) { o.anyPort = o.anyPort && f.Name != "addr" })
	return o, o.check()
}

// run serves the dashboard until ctx is done, and prints its URLs to out.
func run(ctx context.Context, o options, out io.Writer) error {
	ln, err := listen(o)
	if err != nil {
		return err
	}
	s := newServer(newMarket(o.config), o.debug)
	for _, url := range urls(ln.Addr()) {
		fmt.Fprintf(out, "The dashboard is at %s\n", url)
	}

	trading, close := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer close()
	running.Go(func() { s.market.run(trading) })

	failed := make(chan error, 1)
	go func() { failed <- s.serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "Shutting down.")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = s.shutdown(ctx)
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// listen listens on the address of the command line. If that is the default and its
// port is taken, it uses any free port.
func listen(o options) (net.Listener, error) {
	ln, err := net.Listen("tcp", o.addr)
	if err != nil && o.anyPort {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, err
}

// urls returns the URLs at which a browser finds the server that listens on addr. A
// server that listens on every interface is found at each of this machine's
// addresses.
func urls(addr net.Addr) []string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return []string{addr.String()}
	}
	url := func(host string) string { return "http://" + net.JoinHostPort(host, port) + "/" }
	if !net.ParseIP(host).IsUnspecified() {
		return []string{url(host)}
	}
	all := []string{url("localhost")}
	addrs, _ := net.InterfaceAddrs() // without them there is still localhost
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			all = append(all, url(ip.IP.String()))
		}
	}
	return all
}
