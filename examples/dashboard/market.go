package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

const (
	topic = "trades"

	historyEvery  = 2 * time.Second // between two prices of the history
	historyLength = 150             // that many prices of each instrument: five minutes
)

// config holds the flags about the market.
type config struct {
	instruments int
	rate        int // steps per second
	seed        uint64
}

// Limits of a market.
const (
	maxInstruments = 1000
	maxStepRate    = 120
)

func (c config) check() error {
	switch {
	case c.instruments < 1 || c.instruments > maxInstruments:
		return fmt.Errorf("-instruments is %d, but must be from 1 to %d", c.instruments, maxInstruments)
	case c.rate < 1 || c.rate > maxStepRate:
		return fmt.Errorf("-rate is %d, but must be from 1 to %d per second", c.rate, maxStepRate)
	}
	return nil
}

// market runs a simulation in real time, and publishes every trade to the topic
// of its hub, with the instrument as the key.
type market struct {
	hub   *hub.Hub
	start time.Time
	keys  []string // of the instruments

	mu      sync.Mutex // held while a step is made and published
	sim     *simulation
	trades  uint64
	history []uint32 // of each instrument historyLength prices, in a ring
	oldest  int      // place of the oldest price in each ring
	until   float64  // time of the newest
	buf     []byte
}

// newMarket returns a market that has been running for as long as its history
// lasts. Its hub replays the newest trade of each instrument.
func newMarket(c config) *market {
	m := &market{
		hub:     hub.New(&hub.Options{Replay: c.instruments, Linger: 24 * time.Hour}),
		keys:    make([]string, c.instruments),
		sim:     newSimulation(c.instruments, c.rate, c.seed),
		history: make([]uint32, c.instruments*historyLength),
	}
	for i := range m.keys {
		m.keys[i] = strconv.Itoa(i)
	}
	for range historyLength {
		for range int(historyEvery.Seconds()) * c.rate {
			m.sim.step()
		}
		m.recordPrices()
	}
	m.start = time.Now()
	for i := range m.keys {
		m.publish(i, 0)
	}
	return m
}

// now is the time in milliseconds since the market was opened.
func (m *market) now() float64 { return float64(time.Since(m.start)) / float64(time.Millisecond) }

// run makes steps until ctx is done. A slow machine makes fewer.
func (m *market) run(ctx context.Context) {
	t := time.NewTicker(time.Duration(float64(time.Second) / m.sim.rate))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.step()
		}
	}
}

// step makes a step and publishes its trades.
func (m *market) step() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, i := range m.sim.step() {
		m.publish(i, now)
	}
	every := float64(historyEvery.Milliseconds())
	if now-m.until >= every {
		m.until = max(m.until+every, now-every) // after a long sleep of the machine there is a gap
		m.recordPrices()
	}
}

// publish publishes the state of an instrument.
func (m *market) publish(i int, now float64) {
	in := &m.sim.instruments[i]
	t := trade{i, in.seq, now, in.price, in.high, in.low, in.volume}
	m.buf = t.append(m.buf[:0])
	m.trades++
	// Without a backplane the only possible error is that the hub is shut down.
	m.hub.PublishKey(topic, m.keys[i], websocket.Binary, m.buf)
}

// recordPrices appends the present prices to the history.
func (m *market) recordPrices() {
	for i := range m.sim.instruments {
		m.history[i*historyLength+m.oldest] = m.sim.instruments[i].price
	}
	m.oldest = (m.oldest + 1) % historyLength
}

// hello returns the first message for a newcomer. Encoding takes long, so it is done
// from a copy, without the lock, while the market goes on.
func (m *market) hello() []byte {
	m.mu.Lock()
	h := hello{now: m.now(), rate: int(m.sim.rate), every: int(historyEvery.Milliseconds()), until: m.until}
	instruments, history, oldest := slices.Clone(m.sim.instruments), slices.Clone(m.history), m.oldest
	m.mu.Unlock()

	for _, s := range sectors {
		h.sectors = append(h.sectors, s.name)
	}
	for i, in := range instruments {
		ring := history[i*historyLength:][:historyLength]
		prices := slices.Concat(ring[oldest:], ring[:oldest])
		h.instruments = append(h.instruments, listing{in.symbol, in.name, in.sector, in.decimals, in.reference, prices})
	}
	return h.append(nil)
}

// stats returns how many steps and trades there were.
func (m *market) stats() (steps int, trades uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sim.steps, m.trades
}
