// Package natsplane is a [hub.Backplane] on NATS: the hubs of several processes,
// on several machines, that are connected to the same broker, or cluster of
// brokers, are one.
//
//	nc, err := natsplane.Connect("nats://broker.example:4222")
//	if err != nil {
//		return err
//	}
//	defer nc.Close()
//	h := hub.New(&hub.Options{Backplane: natsplane.New(nc, nil)})
//
// # What is promised
//
// NATS delivers at most once, and in the order of each publisher. Messages that
// are published after a Subscribe has returned arrive, since Subscribe waits
// until the broker knows of the subscription. While the broker is away nothing
// breaks: connections stay, each hub goes on for its own subscribers, and
// messages that are published in the meantime are kept, up to a bound. When the
// broker is back they are sent, and reach the hubs that have connected again
// already; others miss them. A message that must not be lost belongs into a
// database, too.
//
// Every client that may publish to the broker can send to all subscribers of all
// hubs. Let only servers connect, by credentials and TLS, which are options of
// nats.go.
package natsplane

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/fullduplex-go/websocket/hub"
)

// Options are the settings of a [Plane].
type Options struct {
	// Prefix is the beginning of subjects: the subject of topic t is Prefix, a
	// dot, and t. Hubs of the same prefix are connected. No prefix may be
	// another one followed by a dot and more. "" means "hub".
	//
	// In prefix and topic, bytes that a subject cannot hold, and those that are
	// not ASCII, are written as % and two hexadecimal digits.
	Prefix string

	// Pending is how many bytes of one topic may wait for the hub to take them;
	// one message may wait in any case. More are dropped, and the drop is
	// logged. A hub never blocks, so messages wait only when the processor is
	// very busy. Zero means 8 MiB.
	Pending int

	// Logger receives the events of the connection, and the errors that no call
	// can return, such as a topic that is not allowed. Nil means [slog.Default].
	Logger *slog.Logger
}

// Plane implements [hub.Backplane] on a connection to NATS. Its methods may be
// called from any number of goroutines.
//
// While there are subscriptions a Plane takes one goroutine and half a megabyte
// for all of them, and some hundred bytes for each. While messages arrive it
// takes up to 16 goroutines more; so slow topics hold up others only if there are
// 16 of them.
type Plane struct {
	nc       *nats.Conn
	prefix   string // with its dot
	log      *slog.Logger
	dispatch dispatcher
	flusher  flusher
}

var _ hub.Backplane = (*Plane)(nil)

// New returns a backplane on nc, which stays the caller's, to be closed after
// the hub's Shutdown. A nil opts stands for the zero value.
//
// [Connect] makes a connection with suitable settings. Any other connection gives
// up for good after two minutes without a broker, by the defaults of nats.go.
// Each hub should have a connection of its own, or different topics than the
// other hubs on it.
//
// The connection's handlers for errors, disconnects and reconnects are replaced
// by ones that log and then call those that were there.
func New(nc *nats.Conn, opts *Options) *Plane {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Prefix == "" {
		o.Prefix = "hub"
	}
	if o.Pending <= 0 {
		o.Pending = 8 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Plane{nc: nc, prefix: subject(o.Prefix) + ".", log: o.Logger}
	p.dispatch.limit = int64(o.Pending)
	p.dispatch.dropped = p.reportDrops
	p.dispatch.watchClosed = p.closedStatus
	p.flusher.flushOnce = func() error { return nc.FlushTimeout(flushTimeout) }
	p.logEvents()
	return p
}

// closedStatus returns a channel that receives when the connection is closed, and a
// function that releases the channel.
func (p *Plane) closedStatus() (<-chan nats.Status, func()) {
	if p.nc == nil {
		return nil, func() {} // nothing can be subscribed
	}
	ch := p.nc.StatusChanged(nats.CLOSED)
	if p.nc.IsClosed() { // perhaps before StatusChanged
		ch <- nats.CLOSED
	}
	return ch, func() { p.nc.RemoveStatusListener(ch) }
}

// reportDrops reports that messages for sub begin to be dropped, as nats.go would.
func (p *Plane) reportDrops(sub *nats.Subscription) {
	p.nc.ErrorHandler()(p.nc, sub, nats.ErrSlowConsumer) // there is one, by logEvents
}

// Publish implements [hub.Backplane]. While there is no connection messages
// wait for one, up to a bound of the connection (nats.ReconnectBufSize). The
// error is that of nats.go: [nats.ErrReconnectBufExceeded] at this bound,
// [nats.ErrMaxPayload] if msg is larger than the broker allows, by default
// 1 MiB, or [nats.ErrConnectionClosed].
func (p *Plane) Publish(topic string, msg []byte) error {
	if err := p.nc.Publish(p.prefix+subject(topic), msg); err != nil {
		return fmt.Errorf("natsplane: publish to %.100q: %w", topic, err)
	}
	return nil
}

// Subscribe implements [hub.Backplane]. It waits until the broker has confirmed
// the subscription, for 2 s at most; concurrent calls share the round trip. While
// there is no connection it does not wait; then nats.go tells the broker of the
// subscription as soon as it is connected. In a cluster the other brokers learn
// of the subscription a little later.
func (p *Plane) Subscribe(topic string, deliver func(msg []byte)) (unsubscribe func() error, err error) {
	sub, err := p.dispatch.subscribe(deliver, func(ch chan *nats.Msg) (*nats.Subscription, error) {
		return p.nc.ChanSubscribe(p.prefix+subject(topic), ch)
	})
	if err != nil {
		return nil, fmt.Errorf("natsplane: subscribe to %.100q: %w", topic, err)
	}
	p.confirmSubscriptions()
	return func() error {
		err := sub.Unsubscribe()
		p.dispatch.remove(sub)
		if err == nil || errors.Is(err, nats.ErrConnectionClosed) {
			return nil // a connection that is closed has no subscriptions
		}
		return fmt.Errorf("natsplane: unsubscribe from %.100q: %w", topic, err)
	}, nil
}

// logEvents logs the events of the connection. The handlers are called one at a
// time, by a goroutine of the connection.
func (p *Plane) logEvents() {
	failed, lost, back := p.nc.ErrorHandler(), p.nc.DisconnectErrHandler(), p.nc.ReconnectHandler()
	p.nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		p.logError(sub, err)
		if failed != nil {
			failed(nc, sub, err)
		}
	})
	p.nc.SetDisconnectErrHandler(func(nc *nats.Conn, err error) {
		if !nc.IsClosed() { // else closed by this process
			p.log.Warn("natsplane: the connection to the broker is lost", "error", err)
		}
		if lost != nil {
			lost(nc, err)
		}
	})
	p.nc.SetReconnectHandler(func(nc *nats.Conn) {
		p.log.Info("natsplane: connected to the broker again", "url", nc.ConnectedUrlRedacted())
		if back != nil {
			back(nc)
		}
	})
}

// logError logs an error, which may be about one subscription. It ignores
// subscriptions of other users of the connection.
func (p *Plane) logError(sub *nats.Subscription, err error) {
	if sub == nil {
		p.log.Warn("natsplane: an error on the connection to the broker", "error", err)
		return
	}
	if !strings.HasPrefix(sub.Subject, p.prefix) {
		return
	}
	dropped, _ := sub.Dropped() // an error means that the subscription has ended
	p.log.Warn("natsplane: an error on a subscription", "subject", sub.Subject, "error", err,
		"dropped so far", uint64(dropped)+p.dispatch.droppedOf(sub))
}
