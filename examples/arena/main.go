package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const defaultAddr = "127.0.0.1:8080"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "arena:", err)
		os.Exit(1)
	}
}

// settings holds the flags of the command line.
type settings struct {
	addr      string
	addrGiven bool
	rate      int
	players   int
	bots      int
	connect   string
}

func parseFlags(args []string, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("arena", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", defaultAddr, "`host:port` to listen on; :8080 lets other devices in. If the port is taken\nany free one is used, unless -addr is given")
	flags.IntVar(&s.rate, "tick", 30, "ticks per second, and snapshots too: 20 to 60")
	flags.IntVar(&s.players, "max", maxPlayers, fmt.Sprintf("how many may play at once: 1 to %d", maxPlayers))
	flags.IntVar(&s.bots, "bots", 24, "how many koi play by themselves, as WebSocket clients")
	flags.StringVar(&s.connect, "connect", "", "do not serve: send the bots to the server with this `URL`, such as ws://host:8080/ws")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	s.addrGiven = given["addr"]
	return s, errors.Join(s.check(flags.Args()), s.checkConnect(given))
}

func (s *settings) check(args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("unexpected argument %q", args[0])
	case s.players < 1 || s.players > maxPlayers:
		return fmt.Errorf("-max is %d, want 1 to %d", s.players, maxPlayers)
	case s.bots < 0 || s.bots > s.players:
		return fmt.Errorf("-bots is %d, want 0 to %d, which is how many may play (-max)", s.bots, s.players)
	}
	if err := checkRate(s.rate); err != nil {
		return fmt.Errorf("-tick: %w", err)
	}
	return nil
}

// checkConnect checks -connect, and what cannot go with it.
func (s *settings) checkConnect(given map[string]bool) error {
	if !given["connect"] {
		return nil
	}
	for _, name := range []string{"addr", "tick", "max"} {
		if given[name] {
			return fmt.Errorf("-%s is about a server, and with -connect there is none", name)
		}
	}
	u, err := url.Parse(s.connect)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return fmt.Errorf("-connect is %q, want a URL such as ws://host:8080/ws", s.connect)
	}
	if s.bots == 0 {
		return errors.New("-connect is for bots, and -bots is 0")
	}
	return nil
}

// run does what args say until ctx is done.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if s.connect != "" {
		return s.runBots(ctx, stdout)
	}
	return s.runServer(ctx, stdout)
}

func (s *settings) runBots(ctx context.Context, stdout io.Writer) error {
	bots, err := startBots(ctx, s.connect, s.bots, rand.Uint64())
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d koi swim to %s\n", s.bots, s.connect)
	<-ctx.Done()
	fmt.Fprintln(stdout, "Shutting down.")
	return bots.close()
}

func (s *settings) runServer(ctx context.Context, stdout io.Writer) error {
	ln, err := s.listen()
	if err != nil {
		return err
	}
	arena, err := newServer(s.rate, s.players, rand.Uint64(), nil)
	if err != nil {
		ln.Close()
		return err
	}
	httpServer := arena.httpServer()
	failed := make(chan error, 2)
	go func() { failed <- httpServer.Serve(ln) }()

	var bots *botGroup
	if s.bots > 0 {
		if bots, err = startBots(ctx, ownURL(ln.Addr()), s.bots, rand.Uint64()); err != nil {
			failed <- err
		}
	}
	for _, url := range urls(ln.Addr()) {
		fmt.Fprintf(stdout, "The pond is at %s\n", url)
	}

	select {
	case err = <-failed:
	case <-ctx.Done():
		err = nil
		fmt.Fprintln(stdout, "Shutting down.")
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if bots != nil {
		err = errors.Join(err, bots.close())
	}
	// The listener is closed first, so that no page connects again while others
	// are disconnected. http.Server does not know the WebSocket connections; the
	// arena closes them.
	return errors.Join(err, httpServer.Shutdown(end), arena.shutdown(end))
}

// listen listens on -addr. If that is the default and its port is taken, it uses any
// free port.
func (s *settings) listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", s.addr)
	if err != nil && !s.addrGiven {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, err
}

// ownURL returns where the bots find the server in the same process.
func ownURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return "ws://" + net.JoinHostPort("localhost", port) + "/ws"
	}
	return "ws://" + addr.String() + "/ws"
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
