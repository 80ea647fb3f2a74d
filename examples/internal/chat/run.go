package chat

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"time"
)

// defaultAddr is the default address.
const defaultAddr = "127.0.0.1:8080"

// Flags defines the flags of a program that serves the chat: they set o, and
// addr, which is for Listen.
func Flags(fs *flag.FlagSet, o *Options) (addr *string) {
	fs.IntVar(&o.MaxConns, "max-conns", defaultLimits.conns, "how many pages may be connected at once")
	fs.IntVar(&o.MaxPerAddress, "max-per-address", defaultLimits.connsPerAddress, "how many of them from one address; behind a proxy all have its address")
	return fs.String("addr", "", "`host:port` to listen on; :8080 lets other devices in (default "+defaultAddr+").\nIf the port is taken any free one is used, unless -addr is given")
}

// Listen listens on addr, a host and a port. "" means a usual one, or any free port
// if that is taken.
func Listen(addr string) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	ln, err := net.Listen("tcp", defaultAddr)
	if err != nil {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, nil
}

// Run serves the chat on ln, which it closes, until ctx is done. It prints the URLs
// of the chat.
func Run(ctx context.Context, ln net.Listener, o Options) error {
	chat, err := New(o)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	for _, url := range urls(ln.Addr()) {
		fmt.Printf("The chat is at %s\n", url)
	}
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
	// The listener is closed first, so that no page connects again while others
	// are disconnected. http.Server does not know the WebSocket connections; chat
	// closes them.
	return errors.Join(httpServer.Shutdown(ctx), chat.Shutdown(ctx))
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
