//go:build linux

package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// client gets the updates of one topic. It belongs to one goroutine.
type client struct {
	r     *runner
	index int
	seen  int // the number of the last update

	// The counts so far, which other goroutines read meanwhile.
	updates, missed, polls atomic.Int64

	delays []time.Duration // while the clock runs

	fetcher fetcher // for Poll and LongPoll
	stream  stream  // for Events and WebSocket

	// The connection, and the bytes that it had carried before HTTP.
	conn         *conn
	sent0, recv0 int64

	setupSent, setupReceived int64
}

// open connects, and returns when the client is ready for updates.
func (r *runner) open(ctx context.Context, index int) (*client, error) {
	c := &client{r: r, index: index, seen: feed.FirstSeq}
	var err error
	switch r.Kind {
	case Poll, LongPoll:
		if c.fetcher, err = c.newFetcher(ctx); err == nil {
			// The first request makes the connection, and gets the state.
			err = c.ask(feed.PollPath)
		}
	case Events:
		err = c.openEvents(ctx)
	case WebSocket:
		err = c.openSocket(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("client %d: %w", index+1, err)
	}
	if c.stream != nil {
		c.setupSent, c.setupReceived = c.conn.out.Load()-c.sent0, c.conn.in.Load()-c.recv0
	}
	return c, nil
}

// dial makes the connection. A client has one only.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	if c.conn != nil {
		return nil, fmt.Errorf("a second connection")
	}
	var err error
	if c.conn, err = c.r.traffic.dial(ctx, "tcp", c.r.Addr); err != nil {
		return nil, err
	}
	return c.conn, nil
}

// dialTLS makes the connection and does the TLS handshake. The handshake does not
// count for the setup, since it is the same for all.
func (c *client) dialTLS(ctx context.Context, protocol string) (*tls.Conn, error) {
	nc, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	// The certificate is the benchmark's own.
	t := tls.Client(nc, &tls.Config{ServerName: host, NextProtos: []string{protocol}, InsecureSkipVerify: true})
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	c.sent0, c.recv0 = c.conn.out.Load(), c.conn.in.Load()
	return t, nil
}

func (c *client) newFetcher(ctx context.Context) (fetcher, error) {
	switch {
	case c.r.TLS && c.r.Browser:
		return c.http2(browser.fetch2), nil
	case c.r.TLS:
		return c.http2(nil), nil
	case c.r.Browser:
		nc, err := c.dial(ctx)
		if err != nil {
			return nil, err
		}
		return newRawFetcher(nc, browser.fetch), nil
	}
	return newGoFetcher(c.r.ctx, c.r.Addr, c.dial, nil, nil), nil
}

// http2 returns a fetcher that speaks HTTP/2.
func (c *client) http2(header http.Header) *goFetcher {
	return newGoFetcher(c.r.ctx, c.r.Addr, nil, func(ctx context.Context) (*tls.Conn, error) { return c.dialTLS(ctx, "h2") }, header)
}

func (c *client) openEvents(ctx context.Context) error {
	path := c.path(feed.EventsPath)
	var resp *http.Response
	var err error
	if c.r.TLS {
		resp, err = c.http2(browser.eventSource2).send(path)
	} else {
		var nc net.Conn
		if nc, err = c.dial(ctx); err == nil {
			resp, err = newRawFetcher(nc, browser.eventSource).send(path)
		}
	}
	if err == nil {
		c.stream, err = newEventStream(resp)
	}
	return err
}

func (c *client) openSocket(ctx context.Context) error {
	var nc net.Conn
	var err error
	if c.r.TLS {
		nc, err = c.dialTLS(ctx, "http/1.1")
	} else {
		nc, err = c.dial(ctx)
	}
	if err == nil {
		c.stream, err = newSocketStream(nc, c.path(feed.SocketPath), c.r.Size, c.r.Compressed)
	}
	return err
}

// path is that of the client's topic.
func (c *client) path(kind string) string {
	return fmt.Sprintf("%s%d", kind, feed.FirstTopic+c.index)
}

// run gets updates until something fails, the end of the job included.
func (c *client) run() error {
	err := c.get()
	return fmt.Errorf("client %d: %w", c.index+1, err)
}

func (c *client) get() error {
	switch c.r.Kind {
	case Poll:
		for {
			if err := c.r.sleepUntil(c.nextPoll(time.Now())); err != nil {
				return err
			}
			if err := c.ask(feed.PollPath); err != nil {
				return err
			}
		}
	case LongPoll:
		for {
			if err := c.ask(feed.WaitPath); err != nil {
				return err
			}
		}
	}
	for {
		text, err := c.stream.next()
		if err == nil {
			err = c.got(text)
		}
		if err != nil {
			return err
		}
	}
}

// nextPoll returns the time of the client's next poll. The clients are spread over the
// time between two polls, in another order than their topics. So the time that their
// updates wait for a poll is spread evenly, too.
func (c *client) nextPoll(now time.Time) time.Time {
	_, place := math.Modf(float64(c.index) * math.Phi)
	every := int64(c.r.Poll)
	offset := int64(place * float64(every))
	n := (now.UnixNano()-offset)/every + 1
	return time.Unix(0, n*every+offset)
}

// ask requests the latest update.
func (c *client) ask(kind string) error {
	status, content, err := c.fetcher.fetch(fmt.Sprintf("%s?after=%d", c.path(kind), c.seen))
	if err != nil {
		return err
	}
	c.polls.Add(1)
	switch {
	case status == http.StatusNoContent && len(content) == 0:
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("status %d: %.100q", status, content)
	}
	return c.got(content)
}

// got counts an update.
func (c *client) got(text []byte) error {
	now := time.Now()
	u, err := feed.ParseUpdate(text)
	switch {
	case err != nil:
		return err
	case len(text) != c.r.Size:
		return fmt.Errorf("an update of %d bytes, not %d", len(text), c.r.Size)
	case u.Topic != feed.FirstTopic+c.index:
		return fmt.Errorf("an update of topic %d", u.Topic)
	case u.Seq <= c.seen:
		return fmt.Errorf("update %d after %d", u.Seq, c.seen)
	}
	c.updates.Add(1)
	if c.seen != feed.FirstSeq { // before its first update it has missed none
		c.missed.Add(int64(u.Seq - c.seen - 1))
	}
	c.seen = u.Seq
	if c.r.clock.Load() {
		c.delays = append(c.delays, now.Sub(u.At))
	}
	return nil
}
