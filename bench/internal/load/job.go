//go:build linux

package load

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// The kinds of jobs.
const (
	Echo      = "echo"      // batches of messages, echoed
	Broadcast = "broadcast" // one sender, everybody receives
	Handshake = "handshake" // connect, upgrade, reset
	Memory    = "memory"    // open connections, pause, echo a little, pause
	FixedRate = "fixedrate" // single messages at fixed times, echoed
)

// The kinds of permessage-deflate of a job. The empty string means that the
// extension is not offered.
const (
	NoTakeover = "notakeover"
	Takeover   = "takeover"
)

// The pauses of a Memory job.
const (
	PauseEmpty = "empty" // some connections have come and gone
	PauseIdle  = "idle"  // all connections are open, nothing was sent
	PauseUsed  = "used"  // each connection has echoed its messages
)

// Job is one measurement of one server.
type Job struct {
	Kind string
	Addr string // IP address and port
	PID  int    // the server's process, to read its CPU clock

	// Raw means that the server is no WebSocket server, but sends back the bytes
	// that it receives after the handshake.
	Raw bool

	Conns    int     // connections; for Handshake, how many are in the making at a time
	Size     int     // bytes per message
	Depth    int     // messages in flight per connection; Broadcast: messages sent at a time
	Rate     float64 // FixedRate: messages a second, or 0 for half of what the server can do
	Messages int     // Memory: messages that each connection echoes; Echo: at least, on average, in the warm-up
	Stalled  int     // Broadcast: connections besides, which read nothing
	Compress string  // "", NoTakeover or Takeover

	TLS     bool // everything is over TLS 1.3
	Records bool // over TLS: each message of a batch has a record of its own

	Warmup time.Duration // load before the clock starts
	Time   time.Duration // load while it runs

	// Spin makes the generator poll without ever going to sleep, so that the
	// server never pays for waking it. It takes a CPU of its own.
	Spin bool

	// Timeout bounds each step: opening, verifying, silence under load.
	// Zero means 20 seconds.
	Timeout time.Duration
}

// Result holds the measurements of a job. Messages, CPU, Wall, Wire and Sent belong
// together: all were taken at the same two moments under full load.
type Result struct {
	Messages float64       // echoed, delivered, or handshakes made
	CPU      time.Duration // of the server's process
	Wall     time.Duration
	Wire     int64 // bytes of the replies, headers included
	Sent     int64 // Echo: bytes of the batches that were answered, likewise, without those of TLS
	Writes   int64 // write system calls of the server's process, or -1 if the kernel does not count them
	Records  int64 // Echo over TLS: records of the replies

	// Round trips of batches (Echo), of messages to their last receiver
	// (Broadcast), or of connect and upgrade (Handshake); of messages from the
	// moment at which they were due (FixedRate).
	P50, P99, P999 time.Duration

	// Capacity is how many messages a second the server can do (FixedRate without a
	// rate).
	Capacity float64

	// Extensions is the server's Sec-WebSocket-Extensions header.
	Extensions string
}

// Pause is called when a Memory job has reached the named state, and the job
// goes on when it returns. All is quiet on the connections meanwhile.
type Pause func(state string) error

// Run does the job. Only a Memory job needs a pause function. Run should be
// called on a locked thread that has a CPU to itself.
func Run(ctx context.Context, job Job, pause Pause) (Result, error) {
	if job.Timeout <= 0 {
		job.Timeout = 20 * time.Second
	}
	addr, err := netip.ParseAddrPort(job.Addr)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	if job.Conns <= 0 {
		return Result{}, fmt.Errorf("load: a job with %d connections", job.Conns)
	}
	if job.Kind != Handshake && (job.Size < 8 || job.Size > 16<<20) {
		return Result{}, fmt.Errorf("load: a message size of %d bytes", job.Size)
	}
	r := &runner{Job: job, ctx: ctx, addr: addr, started: time.Now()}
	if r.poll, err = newPoller(job.Spin); err != nil {
		return Result{}, err
	}
	defer r.close()
	switch job.Kind {
	case Echo:
		err = r.echo()
	case Broadcast:
		err = r.broadcast()
	case Handshake:
		if r.TLS {
			err = r.secureHandshakes()
		} else {
			err = r.handshakes()
		}
	case FixedRate:
		err = r.fixedRate()
	case Memory:
		err = r.memory(pause)
	default:
		err = fmt.Errorf("load: unknown kind of job %q", job.Kind)
	}
	if err == nil {
		err = ctx.Err()
	}
	return r.result, err
}

// runner is a job under way. It belongs to one goroutine.
type runner struct {
	Job
	ctx     context.Context
	addr    netip.AddrPort
	poll    *poller
	conns   []*conn
	stalled []*conn
	script  *script
	started time.Time // origin of now
	result  Result
	sent    int64 // bytes of the batches answered under load
	traffic traffic

	// serverWindow is the window of the server's messages, in bytes: 0 without
	// takeover. It is known when the script is written.
	serverWindow int

	scratch []byte // where replies are received; content is void between calls
	lat     histogram
}

// now is the time since the job has begun.
func (r *runner) now() time.Duration { return time.Since(r.started) }

func (r *runner) close() {
	r.closeConns()
	r.poll.close()
}

func (r *runner) closeConns() {
	for _, c := range append(r.conns, r.stalled...) {
		c.close()
	}
	r.conns, r.stalled = nil, nil
}
