//go:build linux

package wire

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// The ways to get updates.
const (
	Nothing   = "nothing"   // no client: the cost of making updates
	Poll      = "poll"      // a request every now and then
	LongPoll  = "longpoll"  // a request that the server answers when it has something
	Events    = "events"    // server-sent events
	WebSocket = "websocket" // text messages, one frame each
)

// Job is one measurement of one server.
type Job struct {
	Kind string
	Addr string // IP address and port
	PID  int    // the server's process, to read its CPU clock

	// Browser makes Poll and LongPoll send a browser's requests; else they send
	// those of net/http. Events and WebSocket always send those of a browser.
	Browser bool

	// TLS is for all of the clients. Without it they speak HTTP/1.1, with it
	// HTTP/2, but for a WebSocket, which begins with HTTP/1.1 in any case.
	TLS bool

	// Compressed means that the server agrees to permessage-deflate, which
	// browsers always offer.
	Compressed bool

	Clients int           // each has a topic of its own
	Size    int           // bytes per update
	Every   time.Duration // between two updates of a topic
	Poll    time.Duration // between two requests of a client, for Poll

	Warmup time.Duration // after all clients are there, before the clock starts
	Time   time.Duration // while it runs
}

// check returns the address, or what is wrong with the job.
func (j *Job) check() error {
	if _, err := netip.ParseAddrPort(j.Addr); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	switch j.Kind {
	case Nothing, LongPoll, Events, WebSocket:
	case Poll:
		if j.Poll <= 0 {
			return fmt.Errorf("wire: polling every %v", j.Poll)
		}
	default:
		return fmt.Errorf("wire: unknown kind of job %q", j.Kind)
	}
	if j.Clients < 1 || j.Clients > feed.MaxTopics || j.Every <= 0 || j.Time <= 0 {
		return fmt.Errorf("wire: %d clients, an update every %v, for %v", j.Clients, j.Every, j.Time)
	}
	return nil
}

// Result holds the measurements of a job. All but Setup are from between the start and
// the stop of the clock.
type Result struct {
	Updates float64 // delivered; for Nothing, made
	Missed  float64 // that were overtaken by a newer one before the client asked
	Polls   float64 // answered, with an update or without

	CPU  time.Duration // of the server's process
	Wall time.Duration

	// Bytes that the clients have sent and received on their TCP connections:
	// HTTP, TLS, frames and content.
	Sent, Received int64

	// Packets are TCP segments in both directions, those that only acknowledge
	// included, by the kernel's count. PacketHeaders is the size of all their
	// IP and TCP headers, without those of Ethernet.
	Packets, PacketHeaders int64

	// Delay is the time from the making of an update to its arrival.
	DelayMean, DelayP50, DelayP99 time.Duration

	// SetupSent and SetupReceived are the bytes of a client of Events or WebSocket
	// before its first update, after the TLS handshake if there is one: the median
	// over all clients.
	SetupSent, SetupReceived int64
}
