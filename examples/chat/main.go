package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const defaultAddr = "127.0.0.1:8080"

func main() {
	addr := flag.String("addr", defaultAddr, "`host:port` to listen on; :8080 lets other devices in")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("chat: unexpected argument %q", flag.Arg(0))
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatalf("chat: %v", err)
	}
}

// run serves the chat on addr until ctx is done.
func run(ctx context.Context, addr string) error {
	ln, err := listen(addr)
	if err != nil {
		return err
	}
	for _, url := range urls(ln.Addr()) {
		fmt.Printf("The chat is at %s\n", url)
	}

	chat := newServer(defaultLimits)
	httpServer := &http.Server{
		Handler:           chat,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(ln) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Println("Shutting down.")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The listener goes first, so that nobody comes in again by the front
	// door while the others are shown out. http.Server knows nothing of
	// connections that have become WebSockets; those are chat's to end.
	return errors.Join(httpServer.Shutdown(ctx), chat.shutdown(ctx))
}

// listen listens on addr. Where that is the default and somebody else has the
// port already, any free port will do.
func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil && addr == defaultAddr && !addrGiven() {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, err
}

// addrGiven tells whether -addr was on the command line.
func addrGiven() (given bool) {
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "addr" })
	return given
}

// urls returns where a browser finds the server that listens on addr. One that
// listens on every interface is found at each of this machine's addresses.
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
