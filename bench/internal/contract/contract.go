// Package contract is the contract of every Go server of the comparison, so that
// one load generator can drive them all:
//
//   - "/" echoes each message with its type, in order, up to [ReadLimit];
//   - "/broadcast" sends each message received to every connection open there,
//     the sender too;
//   - one line on standard output, "listening on HOST:PORT", says that it is
//     ready;
//   - SIGUSR1 collects garbage twice, returns memory to the system and then
//     prints the line "collected";
//   - SIGTERM ends it with status 0, however many connections are open;
//   - with -tls all this is over TLS 1.3, with a certificate that nobody checks;
//   - a mode or compression that it does not have ends it with status 3, and so does
//     -tls if it has no TLS;
//   - a peer that resets its connection is no reason to write to standard
//     error.
//
// The floors keep the contract except for the framing: they send back the bytes that
// arrive, frame headers and masks included.
package contract

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
)

// ReadLimit is the largest message, in bytes, that a server must echo.
const ReadLimit = 16 << 20

// Mode is how a server waits for its connections.
type Mode string

const (
	Conn Mode = "conn" // a goroutine for each connection
	Loop Mode = "loop" // an event loop for all
)

// Compression is a server's answer to an offer of permessage-deflate.
type Compression string

const (
	Off        Compression = "off"
	NoTakeover Compression = "notakeover" // each message compressed on its own
	Takeover   Compression = "takeover"   // with context takeover in both directions
)

// Support lists the modes of a server, and for each the compressions that it
// can do there, and whether it can do TLS. The first one is the default of the -mode
// flag.
type Support []struct {
	Mode     Mode
	Compress []Compression
	TLS      bool
}

func (s Support) has(m Mode, c Compression, secure bool) bool {
	for _, one := range s {
		if one.Mode == m {
			return slices.Contains(one.Compress, c) && (one.TLS || !secure)
		}
	}
	return false
}

// Setting is how a server was asked to serve.
type Setting struct {
	Mode     Mode
	Compress Compression
	TLS      *tls.Config // nil in the clear
}

// Listener returns l, under TLS if the setting has it.
func (s Setting) Listener(l net.Listener) net.Listener {
	if s.TLS == nil {
		return l
	}
	return tls.NewListener(l, s.TLS)
}

// Exit statuses of a server.
const (
	exitFailed      = 1
	exitUnsupported = 3
)

// Main is the main function of a server: it reads the flags, listens, installs
// the signals and calls serve, which is to accept connections from l for ever. l is
// a TCP listener, with TLS, too: see [Setting.Listener].
func Main(s Support, serve func(l net.Listener, set Setting) error) {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	compress := flag.String("compress", string(Off), "permessage-deflate: off, notakeover or takeover")
	mode := flag.String("mode", string(s[0].Mode), "how to wait for connections: conn or loop")
	secure := flag.Bool("tls", false, "serve TLS 1.3, with a certificate made for this process")
	flag.Parse()
	set := Setting{Mode: Mode(*mode), Compress: Compression(*compress)}
	if !s.has(set.Mode, set.Compress, *secure) {
		fail(exitUnsupported, fmt.Errorf("-mode %s -compress %s -tls=%v is not supported", *mode, *compress, *secure))
	}
	if *secure {
		var err error
		if set.TLS, err = serverTLS(); err != nil {
			fail(exitFailed, err)
		}
	}
	if err := raiseFileLimit(); err != nil {
		fail(exitFailed, err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		fail(exitFailed, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	go handleSignals(signals)
	// Connections from now on wait in the socket's queue.
	fmt.Printf("listening on %s\n", l.Addr())
	fail(exitFailed, serve(l, set))
}

func fail(status int, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	os.Exit(status)
}

// raiseFileLimit makes room for as many connections as the system allows.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}

func handleSignals(signals <-chan os.Signal) {
	for s := range signals {
		if s == syscall.SIGTERM {
			os.Exit(0) // the kernel closes the connections
		}
		runtime.GC()
		runtime.GC() // frees the memory that the first one took out of the pools
		debug.FreeOSMemory()
		fmt.Println("collected")
	}
}

// ServeHTTP serves the two paths with net/http, for libraries that take a
// connection over from there.
func ServeHTTP(l net.Listener, echo, broadcast http.HandlerFunc) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo)
	mux.HandleFunc("/broadcast", broadcast)
	return http.Serve(l, mux)
}
