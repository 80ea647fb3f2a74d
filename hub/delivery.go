package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// A batch has at most as many messages, and as many bytes unless it is a single
// message. They bound how long a batch holds the lock of a chunk, and how much a
// connection is given that counted as keeping up.
const (
	maxBatch      = 128
	maxBatchBytes = 16 << 10
)

// batch is messages that each subscriber is given at once, in order.
type batch struct {
	messages []*message
	joined   *websocket.PreparedMessage // all of them; nil if there is one
	counts   counts                     // of the goroutine that leads
}

// delivery is the messages of a topic that have their numbers and were not given to
// all subscribers yet. It exists while there are any. topic.mu guards it, but the
// goroutine that leads reads batch and chunks without the lock.
//
// One goroutine at a time leads: it gives out one batch after the other until its
// own message was among them, and then passes the lead on to a waiting one. So
// messages that are published while a batch is on its way leave together in the
// next one, and no publisher works for others without end.
//
// A message whose publisher has not come to finish yet, because it is calling the
// backplane, has no waiter, and leaves with any batch. With Options.Collect a
// publisher does not wait, and there are never more than maxBatch messages, or one
// more than maxBatchBytes, for which nobody waits.
type delivery struct {
	queue   []*message // not in a batch yet
	size    int        // bytes of queue
	batch   batch      // on its way to the subscribers; empty if none is
	chunks  []*chunk   // those of the subscribers that are to get batch
	done    uint64     // number of the newest message that was given to all
	led     bool       // a goroutine leads, or has been told to
	timed   bool       // a timer will deliver the queue
	waiters []waiter   // the longest waiting first
}

// waiter is a goroutine that waits until a message was given to all, or until it is
// to lead.
type waiter struct {
	seq  uint64
	lead chan bool // of capacity 1
}

var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// queueLocked adds m, which is the newest message, for the subscribers. The caller
// holds t.mu.
func (t *topic) queueLocked(m *message) {
	d := t.delivery
	if d == nil {
		d = deliveries.Get().(*delivery)
		d.done = m.seq - 1
		t.delivery = d
	}
	d.queue = append(d.queue, m)
	d.size += m.size
}

// undelivered returns the messages after number seq that were not given to all
// subscribers yet.
func (t *topic) undelivered(seq uint64) (all []*message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.delivery == nil {
		return nil
	}
	for _, list := range [][]*message{t.delivery.batch.messages, t.delivery.queue} {
		for _, m := range list {
			if m.seq > seq {
				all = append(all, m)
			}
		}
	}
	return all
}

// send has m, which has its number, given to all subscribers. When it returns that
// has happened, or it will within Options.Collect.
func (t *topic) send(m *message) {
	if t.hub.opts.Collect == 0 || !t.collect() {
		t.finish(m)
	}
}

// collect leaves the queue to a timer. It returns false if the queue is full.
func (t *topic) collect() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.delivery
	switch {
	case d == nil || len(d.queue) == 0 || d.timed && !d.full():
		return true
	case d.full():
		return false
	}
	d.timed = true
	t.hub.pending.Enter()
	time.AfterFunc(t.hub.opts.Collect, t.collected)
	return true
}

func (d *delivery) full() bool { return len(d.queue) >= maxBatch || d.size >= maxBatchBytes }

// collected is called by the timer.
func (t *topic) collected() {
	defer t.hub.pending.Leave()
	t.mu.Lock()
	d := t.delivery
	d.timed = false
	var newest *message
	if n := len(d.queue); n > 0 {
		newest = d.queue[n-1]
	} else {
		t.endDeliveryLocked()
	}
	t.mu.Unlock()
	if newest != nil {
		t.finish(newest)
	}
}

// finish returns when m was given to all subscribers, by the caller or by others.
func (t *topic) finish(m *message) {
	if !t.await(m.seq) {
		return
	}
	defer t.passOn() // even if a hook of a connection panics
	for t.deliverBatch(m.seq) {
	}
}

// await waits until the message with number seq was given to all subscribers, and
// returns false, or until the caller leads, and returns true.
func (t *topic) await(seq uint64) bool {
	t.mu.Lock()
	d := t.delivery
	if d == nil || seq <= d.done || !d.led {
		lead := d != nil && seq > d.done
		if lead {
			d.led = true
		}
		t.mu.Unlock()
		return lead
	}
	w := waiter{seq, make(chan bool, 1)}
	d.waiters = append(d.waiters, w)
	t.mu.Unlock()
	return <-w.lead
}

// passOn ends the caller's lead.
func (t *topic) passOn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.delivery
	if len(d.waiters) > 0 {
		d.waiters[0].lead <- true
		d.waiters = slices.Delete(d.waiters, 0, 1)
		return
	}
	d.led = false
	t.endDeliveryLocked()
}

// endDeliveryLocked frees the delivery if nothing is left in it.
func (t *topic) endDeliveryLocked() {
	if d := t.delivery; len(d.queue) == 0 && !d.led && !d.timed {
		t.delivery = nil
		if cap(d.queue) <= 8*maxBatch {
			deliveries.Put(d)
		}
	}
}

// deliverBatch gives one batch to all subscribers, unless the message with number seq
// has been given. The caller leads.
func (t *topic) deliverBatch(seq uint64) bool {
	b, chunks := t.takeBatch(seq)
	if b == nil {
		return false
	}
	defer t.endBatch()
	if len(b.messages) > 1 {
		b.join()
	}
	t.hub.deliver(b, chunks)
	return true
}

// takeBatch moves messages from the queue to the batch, and returns the chunks of
// the subscribers that are to get it. It returns nil if the message with number seq
// has been given.
func (t *topic) takeBatch(seq uint64) (*batch, []*chunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.delivery
	if seq <= d.done {
		return nil, nil
	}
	n, size := 0, 0
	for n < len(d.queue) && n < maxBatch && (n == 0 || size+d.queue[n].size <= maxBatchBytes) {
		size += d.queue[n].size
		n++
	}
	d.batch.messages = append(d.batch.messages, d.queue[:n]...)
	d.queue = slices.Delete(d.queue, 0, n)
	d.size -= size
	d.chunks = t.set.appendTo(d.chunks)
	return &d.batch, d.chunks
}

// join makes joined of the messages.
func (b *batch) join() {
	var all [maxBatch]*websocket.PreparedMessage
	for i, m := range b.messages {
		all[i] = m.prepared
	}
	joined, err := joinPrepared(all[:len(b.messages)]...)
	if err == nil { // it always is: there are messages, and none is nil
		b.joined = joined
	}
}

// joinPrepared is a variable for tests, in which connections record what they get.
var joinPrepared = websocket.JoinPrepared

// endBatch tells the waiters of the batch that it was given to all.
func (t *topic) endBatch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.delivery
	b := &d.batch
	d.done = b.messages[len(b.messages)-1].seq
	clear(b.messages)
	b.messages, b.joined = b.messages[:0], nil
	clear(d.chunks)
	d.chunks = d.chunks[:0]
	d.waiters = slices.DeleteFunc(d.waiters, func(w waiter) bool {
		if w.seq > d.done {
			return false
		}
		w.lead <- false
		return true
	})
}
