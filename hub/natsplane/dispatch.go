package natsplane

import (
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

const (
	// maxWorkers is how many topics are delivered to at the same time. Workers
	// are started when there is something to deliver.
	maxWorkers = 16
	// channelSize is how many messages may wait for the receiver, which does
	// little and never waits: what arrives while it is not given the processor.
	channelSize = 1 << 16
)

// dispatcher passes on the messages of all subscriptions. nats.go starts a
// goroutine for each subscription with a callback, so here all of them write to
// one channel. One goroutine, the receiver, empties that into the queue of each
// subscription, and a few workers deliver from the queues: to each topic one at
// a time and in order. The receiver and the channel are there while there are
// subscriptions.
type dispatcher struct {
	limit   int64                                           // bytes that a queue may hold
	dropped func(*nats.Subscription)                        // called when messages begin to be dropped, in a goroutine of its own
	listen  func() (closed <-chan nats.Status, stop func()) // tells when the connection is closed

	mu      sync.Mutex // guards what follows
	queues  map[*nats.Subscription]*msgQueue
	opening int         // calls of subscribe under way
	early   []*nats.Msg // for no queue that there is: perhaps for one that is being opened
	ready   []*msgQueue // with messages, and without a worker
	workers int
	channel chan *nats.Msg // what the receiver receives from; nil if it is not there
	wake    chan struct{}  // tells the receiver that nobody may be left
}

// msgQueue is the messages of a subscription that wait to be delivered.
type msgQueue struct {
	deliver func(msg []byte)
	ended   atomic.Bool
	bytes   atomic.Int64  // that wait, or are just being delivered
	dropped atomic.Uint64 // messages

	// Guarded by dispatcher.mu.
	msgs []*nats.Msg
	busy bool // a worker has it, or it is in dispatcher.ready
	full bool // the last message was dropped
}

// subscribe calls open with the channel to subscribe with, and has deliver called
// with what comes.
func (d *dispatcher) subscribe(deliver func([]byte), open func(chan *nats.Msg) (*nats.Subscription, error)) (*nats.Subscription, error) {
	sub, err := open(d.begin())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
	if err == nil {
		q := &msgQueue{deliver: deliver}
		d.queues[sub] = q
		for _, m := range d.early {
			if m.Sub == sub {
				d.putLocked(q, m)
			}
		}
	}
	if d.opening == 0 {
		d.early = nil
	}
	d.wakeLocked()
	return sub, err
}

// begin counts a call of subscribe, and returns the channel for it. It sees to it
// that there is a receiver.
func (d *dispatcher) begin() chan *nats.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening++
	if d.channel == nil {
		d.channel = make(chan *nats.Msg, channelSize)
		d.wake = make(chan struct{}, 1)
		d.queues = make(map[*nats.Subscription]*msgQueue)
		go d.receive(d.channel, d.wake)
	}
	return d.channel
}

// end ends what subscribe began. No delivery begins after it.
func (d *dispatcher) end(sub *nats.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[sub]; q != nil {
		q.ended.Store(true)
		q.msgs = nil
		delete(d.queues, sub)
	}
	d.wakeLocked()
}

// wakeLocked has the receiver look whether it is needed, if it may not be.
func (d *dispatcher) wakeLocked() {
	if len(d.queues) > 0 || d.opening > 0 || d.channel == nil {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// receive is the receiver.
func (d *dispatcher) receive(channel <-chan *nats.Msg, wake <-chan struct{}) {
	closed, stop := d.listen()
	defer stop()
	for {
		select {
		case m := <-channel:
			d.put(m)
		case <-wake:
			if d.leave(false) {
				return
			}
		case <-closed:
			d.leave(true)
			return
		}
	}
}

// leave reports whether the receiver may go, since nobody needs it; with closed
// nobody does.
func (d *dispatcher) leave(closed bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !closed && (len(d.queues) > 0 || d.opening > 0) {
		return false
	}
	d.channel, d.wake = nil, nil
	for _, q := range d.queues {
		q.ended.Store(true)
	}
	clear(d.queues)
	d.early = nil
	return true
}

func (d *dispatcher) put(m *nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[m.Sub]; q != nil {
		d.putLocked(q, m)
	} else if d.opening > 0 {
		d.early = append(d.early, m)
	}
}

func (d *dispatcher) putLocked(q *msgQueue, m *nats.Msg) {
	size := int64(len(m.Data))
	if waiting := q.bytes.Load(); waiting > 0 && waiting+size > d.limit {
		q.dropped.Add(1)
		if !q.full {
			q.full = true
			go d.dropped(m.Sub)
		}
		return
	}
	q.full = false
	q.bytes.Add(size)
	q.msgs = append(q.msgs, m)
	if q.busy {
		return
	}
	q.busy = true
	d.ready = append(d.ready, q)
	if d.workers < maxWorkers {
		d.workers++
		go d.work()
	}
}

// work delivers what there is, queue by queue, and ends when there is nothing.
func (d *dispatcher) work() {
	var q *msgQueue
	for {
		var msgs []*nats.Msg
		if q, msgs = d.next(q); q == nil {
			return
		}
		for _, m := range msgs {
			if !q.ended.Load() {
				q.deliver(m.Data)
			}
			q.bytes.Add(-int64(len(m.Data)))
		}
	}
}

// next takes the messages of the queue whose turn it is. A worker gives back the
// one that it had, which goes to the end of the queue if more has come.
func (d *dispatcher) next(last *msgQueue) (q *msgQueue, msgs []*nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last != nil {
		if last.busy = len(last.msgs) > 0; last.busy {
			d.ready = append(d.ready, last)
		}
	}
	if len(d.ready) == 0 {
		d.ready = nil
		d.workers--
		return nil, nil
	}
	q = d.ready[0]
	d.ready[0] = nil
	d.ready = d.ready[1:]
	msgs, q.msgs = q.msgs, nil
	return q, msgs
}

// lost returns how many messages for sub were dropped here.
func (d *dispatcher) lost(sub *nats.Subscription) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[sub]; q != nil {
		return q.dropped.Load()
	}
	return 0
}
