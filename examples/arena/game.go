package main

import (
	"context"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

const (
	// maxBuffered is how many bytes may wait for a connection before it is not
	// given another snapshot.
	maxBuffered = 8 << 10
	// rosterEvery is how many rosters there are per second at most.
	rosterEvery = 4
	// maxCatchUp is how many missed ticks are made up for after the game was held
	// up; the others are lost.
	maxCatchUp = 5
	// maxSpectators is how many may be connected besides the players.
	maxSpectators = 50
)

// game owns the world: only the goroutine of run uses it. Connections are on a Loop,
// whose goroutines only put events into the game's queue. So neither waits for the
// other.
type game struct {
	world   *world
	players int // at most so many
	clients map[*client]bool

	// A message for everybody is encoded once. The buffer and the slices of the
	// snapshot are used again; a prepared message has its own memory.
	snapshot snapshot
	buf      []byte
	roster   *websocket.PreparedMessage
	version  int    // of the world's roster that roster holds
	rosterAt uint32 // the tick of that

	mu     sync.Mutex // guards events
	events []gameEvent
}

// gameEvent is an event of a connection, for the game. The events of a client come in
// order: opened, then others, then closed.
type gameEvent struct {
	client *client
	data   any // opened, closed, join or steer
}

type (
	opened struct{}
	closed struct{}
)

func newGame(rate, players int, seed uint64) *game {
	return &game{
		world: newWorld(rate, seed), players: players,
		clients: make(map[*client]bool), version: -1,
	}
}

// enqueue puts an event into the queue. It may be called by any goroutine. The rate at
// which a client may send bounds the length of the queue.
func (g *game) enqueue(c *client, data any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, gameEvent{c, data})
}

// run plays the game until ctx is done. Whenever a time comes in, it makes the
// ticks that are due, and sends the last one to everybody.
func (g *game) run(ctx context.Context, times <-chan time.Time) {
	var start time.Time
	done := 0 // ticks since then
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-times:
			if start.IsZero() {
				start = now
			}
			due := int(now.Sub(start).Seconds()*float64(g.world.rate)+0.5) + 1 - done
			done += due
			for range min(due, maxCatchUp) {
				g.handleEvents()
				g.world.step()
			}
			if due > 0 {
				g.broadcast()
			}
		}
	}
}

// handleEvents handles the events in the queue.
func (g *game) handleEvents() {
	g.mu.Lock()
	queued := g.events
	g.events = nil
	g.mu.Unlock()
	for _, e := range queued {
		c := e.client
		switch data := e.data.(type) {
		case opened:
			if len(g.clients) >= g.players+maxSpectators {
				c.drop(errFull)
				continue
			}
			g.clients[c] = true
		case closed:
			if c.id != 0 {
				g.world.leave(c.id)
			}
			delete(g.clients, c)
		case join:
			g.join(c, data)
		case steer:
			if c.id != 0 {
				g.world.steer(c.id, data)
			}
		}
	}
}

func (g *game) join(c *client, j join) {
	if !g.clients[c] {
		return // it was sent away
	}
	if g.world.count >= g.players {
		c.drop(errFull)
		return
	}
	c.id = g.world.join(j)
	// The next roster would do, but the newcomer wants to see its name.
	g.rosterAt = 0
	if err := c.conn.Send(websocket.Binary, welcome{c.id}.append(nil)); err != nil {
		c.drop(errSlow)
	}
}

// broadcast sends a snapshot to every connection that keeps up, and the roster to
// those with an old one.
func (g *game) broadcast() {
	g.prepareRoster()
	g.world.snapshot(&g.snapshot)
	g.buf = g.snapshot.append(g.buf[:0])
	frame := prepare(g.buf)
	for c := range g.clients {
		// A snapshot that waits is soon replaced by a newer one. So a
		// connection that does not keep up misses some snapshots, and costs
		// the others nothing.
		if c.conn.Buffered() > maxBuffered {
			c.skipped.Add(1)
			continue
		}
		if c.version != g.version && c.conn.SendPrepared(g.roster) == nil {
			c.version = g.version
		}
		if c.conn.SendPrepared(frame) != nil {
			c.skipped.Add(1)
		}
	}
}

// prepareRoster encodes the roster if it has changed, but not too often: when two
// hundred players join at once, each would otherwise get it two hundred times.
func (g *game) prepareRoster() {
	w := g.world
	if w.version == g.version || g.roster != nil && w.tick < g.rosterAt {
		return
	}
	g.roster = prepare(w.roster().append(nil))
	g.version = w.version
	g.rosterAt = w.tick + uint32(w.rate/rosterEvery)
}

func prepare(p []byte) *websocket.PreparedMessage {
	m, err := websocket.NewPreparedMessage(websocket.Binary, p)
	if err != nil {
		panic(err) // a binary message is always valid
	}
	return m
}
