package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

const (
	// queueDepth is how many trades queueAll keeps for one page. They are the
	// same in memory for all pages.
	queueDepth = 1 << 16

	helloTimeout = 20 * time.Second // for the first message to a newcomer

	// A page sends four pings in a second, and settings when they change.
	requestRate  = 20 // per second
	requestBurst = 60

	// With another policy all instruments are sent again: a thousand times as
	// many bytes as the request has.
	changeRate  = 2 // per second
	changeBurst = 10
)

// visitor is one connection. A goroutine of the Server reads the page's messages. The
// hub sends the trades, and keeps them while the page is slow.
type visitor struct {
	conn   *websocket.Conn
	market *market
	paced  *pacedConn

	mu       sync.Mutex        // after market.mu
	settings settings          // written by the goroutine that serves
	sub      *hub.Subscription // nil while there is none
	ended    counts            // of subscriptions that have ended, and between them

	subscribed bool // once; belongs to the goroutine that serves
}

// counts counts the trades for a visitor by their outcome.
type counts struct {
	Sent      uint64 `json:"sent"`
	Conflated uint64 `json:"conflated"`
	Dropped   uint64 `json:"dropped"`
	Pending   int    `json:"pending"`
}

// serve serves the page until its connection ends, and returns the code and reason to
// close it with.
func (v *visitor) serve() (websocket.StatusCode, string) {
	ctx, cancel := context.WithTimeout(v.conn.Context(), helloTimeout)
	err := v.conn.Write(ctx, websocket.Binary, v.market.hello())
	cancel()
	if err != nil {
		return websocket.StatusPolicyViolation, "you do not read"
	}
	if err := v.set(settings{}); err != nil {
		return websocket.StatusGoingAway, "the market is closed"
	}
	tokens := newBucket(requestRate, requestBurst, time.Now())
	changes := newBucket(changeRate, changeBurst, time.Now())
	for msg, err := range v.conn.Messages(v.conn.Context()) {
		if err != nil {
			break
		}
		if msg.Type != websocket.Binary {
			return websocket.StatusUnsupportedData, "text messages mean nothing here"
		}
		if !tokens.take(time.Now()) {
			return websocket.StatusPolicyViolation, "too many messages"
		}
		request, err := parse(msg.Data)
		if err != nil {
			return websocket.StatusPolicyViolation, err.Error()
		}
		switch request := request.(type) {
		case ping:
			v.report(request)
		case settings:
			if request.policy != v.settings.policy && !changes.take(time.Now()) {
				return websocket.StatusPolicyViolation, "too many changes of the policy"
			}
			if err := v.set(request); err != nil {
				return websocket.StatusGoingAway, "the market is closed"
			}
		}
	}
	return websocket.StatusNormalClosure, ""
}

// set changes the visitor's settings. With another policy the visitor subscribes
// anew, gets the newest trade of each instrument, and the waiting trades are dropped.
// Only the goroutine that serves the visitor calls set.
//
// The replay of all instruments takes long, so it does not hold the market's lock. A
// trade between the two subscriptions is in the replay, or a newer one of the same
// instrument is.
func (v *visitor) set(s settings) error {
	v.paced.setRate(s.rate)
	v.mu.Lock()
	again := v.sub == nil || v.settings.policy != s.policy
	v.settings = s
	v.mu.Unlock()
	if !again {
		return nil
	}
	before := v.unsubscribe()
	o := hub.SubscribeOptions{Policy: hub.KeepLatest, Queue: maxInstruments, Replay: true}
	if s.policy == queueAll {
		o.Policy, o.Queue = hub.DropOldest, queueDepth
	}
	sub, err := v.market.hub.Subscribe(topic, v.conn, &o)
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	v.setSubscription(sub, before)
	return nil
}

// unsubscribe ends the subscription, if there is one, and adds its counters to ended. It
// returns the number of the market's trades at that moment.
func (v *visitor) unsubscribe() (trades uint64) {
	v.market.mu.Lock()
	defer v.market.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sub == nil {
		return v.market.trades
	}
	before := v.sub.Stats()
	v.sub.Unsubscribe()
	after := v.sub.Stats()
	v.ended.Sent += after.Sent
	v.ended.Conflated += after.Conflated
	// The waiting trades have been sent in the meantime, or never will be.
	v.ended.Dropped += after.Dropped + uint64(before.Pending) - (after.Sent - before.Sent)
	v.sub = nil
	return v.market.trades
}

// setSubscription makes sub the subscription. before is the number of the market's
// trades when the previous subscription ended. Trades that neither of the two got count as
// dropped, if there was a previous one.
func (v *visitor) setSubscription(sub *hub.Subscription, before uint64) {
	v.market.mu.Lock()
	defer v.market.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.subscribed {
		st := sub.Stats()
		// The replay is the newest trade of each instrument.
		got := st.Sent + st.Conflated + st.Dropped + uint64(st.Pending) - uint64(len(v.market.keys))
		v.ended.Dropped += v.market.trades - before - got
	}
	v.sub, v.subscribed = sub, true
}

// counts returns the counters of the whole connection.
func (v *visitor) counts() (counts, settings) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.ended
	if v.sub != nil {
		s := v.sub.Stats()
		c.Sent += s.Sent
		c.Conflated += s.Conflated
		c.Dropped += s.Dropped
		c.Pending = s.Pending
	}
	return c, v.settings
}

// report answers a ping. If the connection has no room for the answer, the page will
// ask again.
func (v *visitor) report(p ping) {
	c, s := v.counts()
	r := report{
		echo: p.t, settings: s,
		sent: c.Sent, conflated: c.Conflated, dropped: c.Dropped, pending: c.Pending,
		buffered: v.conn.Buffered(), now: v.market.now(),
	}
	v.conn.Send(websocket.Binary, r.append(make([]byte, 0, reportSize)))
}

// bucket limits the rate of a page's messages. It holds up to burst tokens, gets
// rate new ones per second, and each message takes one.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time // when tokens was right
}

func newBucket(rate, burst float64, now time.Time) *bucket {
	return &bucket{rate: rate, burst: burst, tokens: burst, last: now}
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
