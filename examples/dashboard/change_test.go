package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// lockProbe is a backplane that tries to take the market's lock while somebody
// subscribes.
type lockProbe struct {
	hub.Memory
	market   *market
	unlocked bool
}

func (l *lockProbe) Subscribe(topic string, deliver func([]byte)) (func() error, error) {
	if l.unlocked = l.market.mu.TryLock(); l.unlocked {
		l.market.mu.Unlock()
	}
	return l.Memory.Subscribe(topic, deliver)
}

// The market goes on while a visitor subscribes and all is replayed to it.
func TestSubscribeWithoutLock(t *testing.T) {
	m := newMarket(config{instruments: 3, rate: 10, seed: 1})
	plane := &lockProbe{market: m}
	m.hub = hub.New(&hub.Options{Replay: 3, Backplane: plane})
	near, far := websocket.Pipe()
	defer near.CloseNow()
	defer far.CloseNow()
	v := &visitor{conn: far, market: m, paced: newPacedConn(nil)}
	if err := v.set(settings{}); err != nil {
		t.Fatal(err)
	}
	if !plane.unlocked {
		t.Error("the market's lock was held")
	}
	if err := m.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A page that changes the policy all the time is sent away: each change costs a
// replay of all instruments. As much as a person may do is all right, and so
// are any number of other rates.
func TestChangesAreLimited(t *testing.T) {
	_, url := start(t, config{instruments: 5, rate: 10, seed: 1})
	p := dial(t, url)
	for i := range changeBurst {
		p.set(policy(i+1)%policies, 0)
	}
	for i := range requestBurst / 3 {
		p.set(keepLatest, minRate+i)
	}
	p.set(keepLatest, 0)
	if r := p.report(); r.settings != (settings{}) {
		t.Errorf("the report is %+v", r)
	}
	var flipping sync.WaitGroup
	flipping.Go(func() {
		for i := 1; ; i++ {
			change := []byte{kindSettings, byte(i) % byte(policies), 0, 0, 0, 0}
			if p.conn.Write(t.Context(), websocket.Binary, change) != nil {
				return // it has been sent away
			}
		}
	})
	var err error
	for err == nil {
		_, _, err = p.conn.Read(t.Context())
	}
	flipping.Wait()
	if code := websocket.CloseCode(err); code != websocket.StatusPolicyViolation || !strings.Contains(err.Error(), "changes of the policy") {
		t.Errorf("ended with %v", err)
	}
}
