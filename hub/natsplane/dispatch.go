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
	// channelSize is how many messages may wait for the receiver. The receiver
	// never blocks, so they wait only while it does not get the processor.
	channelSize = 1 << 16
)

// dispatcher passes on the messages of all subscriptions. All subscriptions write
// to one channel, since nats.go would start a goroutine for each one with a
// callback. One goroutine, the receiver, moves the messages from the channel to
// the queue of their subscription. A few workers deliver from the queues: to each
// topic one message at a time and in order. The receiver and the channel exist
// while there are subscriptions.
type dispatcher struct {
	limit       int64                                           // bytes that a queue may hold
	dropped     func(*nats.Subscription)                        // called when messages begin to be dropped, in a goroutine of its own
	watchClosed func() (closed <-chan nats.Status, stop func()) // tells when the connection is closed

	mu          sync.Mutex // guards the fields below
	queues      map[*nats.Subscription]*msgQueue
	subscribing int         // calls of subscribe under way
	early       []*nats.Msg // without a queue, perhaps for a subscription that is being opened
	ready       []*msgQueue // with messages, and without a worker
	workers     int
	channel     chan *nats.Msg // from which the receiver receives; nil if there is none
	wake        chan struct{}  // tells the receiver that no subscription may be left
}

// msgQueue holds the messages of a subscription that wait to be delivered.
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

// subscribe calls open with the channel to subscribe with. Workers call deliver
// with each message of the subscription.
func (d *dispatcher) subscribe(deliver func([]byte), open func(chan *nats.Msg) (*nats.Subscription, error)) (*nats.Subscription, error) {
	sub, err := open(d.openChannel())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribing--
	if err == nil {
		q := &msgQueue{deliver: deliver}
		d.queues[sub] = q
		for _, m := range d.early {
			if m.Sub == sub {
				d.putLocked(q, m)
			}
		}
	}
	if d.subscribing == 0 {
		d.early = nil
	}
	d.wakeLocked()
	return sub, err
}

// openChannel counts a call of subscribe, and returns the channel for it. It starts the
// receiver if there is none.
func (d *dispatcher) openChannel() chan *nats.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribing++
	if d.channel == nil {
		d.channel = make(chan *nats.Msg, channelSize)
		d.wake = make(chan struct{}, 1)
		d.queues = make(map[*nats.Subscription]*msgQueue)
		go d.receive(d.channel, d.wake)
	}
	return d.channel
}

// remove ends a subscription. No delivery begins after it.
func (d *dispatcher) remove(sub *nats.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[sub]; q != nil {
		q.ended.Store(true)
		q.msgs = nil
		delete(d.queues, sub)
	}
	d.wakeLocked()
}

// wakeLocked wakes the receiver, to end it, if no subscription is left.
func (d *dispatcher) wakeLocked() {
	if len(d.queues) > 0 || d.subscribing > 0 || d.channel == nil {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// receive is the receiver.
func (d *dispatcher) receive(channel <-chan *nats.Msg, wake <-chan struct{}) {
	closed, stop := d.watchClosed()
	defer stop()
	for {
		select {
		case m := <-channel:
			d.put(m)
		case <-wake:
			if d.stopReceiver(false) {
				return
			}
		case <-closed:
			d.stopReceiver(true)
			return
		}
	}
}

// stopReceiver reports whether the receiver may end: when there are no subscriptions, or
// when the connection is closed, which ends them all.
func (d *dispatcher) stopReceiver(closed bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !closed && (len(d.queues) > 0 || d.subscribing > 0) {
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
	} else if d.subscribing > 0 {
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

// work delivers messages, queue by queue, until no queue is ready.
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

// next takes the messages of the first ready queue. last is the worker's previous
// queue; it becomes ready again if more messages have come.
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

// droppedOf returns how many messages for sub were dropped here.
func (d *dispatcher) droppedOf(sub *nats.Subscription) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[sub]; q != nil {
		return q.dropped.Load()
	}
	return 0
}
