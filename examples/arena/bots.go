package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

const (
	maxDialing  = 4 // bots that connect at the same time
	firstRetry  = time.Second
	lastRetry   = 10 * time.Second
	decisions   = 10 // of a bot per second
	dialTimeout = 10 * time.Second
)

// botGroup holds bots, which are clients that play by themselves. Their connections are
// on a Loop, and a bot acts when a snapshot arrives. So bots need no goroutines,
// except for a few that dial.
type botGroup struct {
	url  string
	loop *websocket.Loop
	ctx  context.Context // done when the bots are to leave
	stop context.CancelFunc
	idle chan *bot // bots without a connection; has room for all
	work sync.WaitGroup
}

// startBots connects n bots to a server, and keeps them connected. It returns
// an error if the first one cannot be connected, and lets the others follow.
func startBots(ctx context.Context, url string, n int, seed uint64) (*botGroup, error) {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		return nil, err
	}
	s := &botGroup{url: url, loop: loop, idle: make(chan *bot, n)}
	s.ctx, s.stop = context.WithCancel(ctx)
	for i := range n {
		b := &bot{botGroup: s, seed: seed + uint64(i), name: botName(i), koi: uint8(i % varieties)}
		if i > 0 {
			s.idle <- b
		} else if err := b.connect(); err != nil {
			s.close()
			return nil, fmt.Errorf("connecting a bot: %w", err)
		}
	}
	for range min(n, maxDialing) {
		s.work.Go(s.dial)
	}
	return s, nil
}

// dial connects bots, one after the other, until the group is closed.
func (s *botGroup) dial() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case b := <-s.idle:
			if err := b.connect(); err != nil {
				b.retry(err)
			}
		}
	}
}

// close disconnects all bots and waits until they are gone.
func (s *botGroup) close() error {
	s.stop()
	s.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.loop.Shutdown(ctx)
}

// botName returns a name, different for each of the first few hundred.
func botName(i int) string {
	names := []string{
		"Aiko", "Benko", "Chiyo", "Daiki", "Emi", "Fumi", "Goro", "Hana", "Ichi", "Jun",
		"Kenji", "Mei", "Nobu", "Oto", "Rin", "Saki", "Taro", "Ume", "Wako", "Yuki",
	}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprint(names[i%len(names)], " ", i/len(names)+1)
}

// bot is one bot. It is the EventHandler of its connections, of which there is one
// at a time.
type bot struct {
	*botGroup
	name string
	koi  uint8
	seed uint64

	// The fields below belong to one connection after the other: dial sets them
	// first, the loop uses them, and OnClose hands the bot back.
	attempts int // to connect, in a row
	motion   motion
	snapshot snapshot
	brain    *brain
	id       uint8
	seq      uint8
	buf      []byte
	invalid  bool // the bot could not parse a message, and leaves
}

// connect connects b, which is not, to the server.
func (b *bot) connect() error {
	ctx, cancel := context.WithTimeout(b.ctx, dialTimeout)
	defer cancel()
	opts := &websocket.DialOptions{}
	opts.ReadLimit = 64 << 10
	opts.CloseTimeout = time.Second
	conn, _, err := websocket.Dial(ctx, b.url, opts)
	if err != nil {
		return err
	}
	b.id, b.seq, b.invalid = 0, 0, false
	b.brain = newBrain(b.seed)
	if err := b.loop.Attach(conn, b); err != nil {
		conn.CloseNow()
		return err
	}
	return nil
}

// retry connects b again, a little later each time. Only the first bot logs the
// error; the others have the same error.
func (b *bot) retry(err error) {
	if b.ctx.Err() != nil {
		return
	}
	delay := retryDelay(b.attempts)
	b.attempts++
	if b.name == botName(0) {
		log.Printf("the bots are not connected, and try again: %v", err)
	}
	time.AfterFunc(delay, func() { b.idle <- b })
}

// retryDelay is how long to wait after attempts+1 failures in a row.
func retryDelay(attempts int) time.Duration {
	return min(lastRetry, firstRetry<<min(attempts, 10))
}

func (b *bot) OnOpen(*websocket.Conn) {}

// OnMessage handles a message; on a snapshot the bot acts.
func (b *bot) OnMessage(conn *websocket.Conn, typ websocket.MessageType, p []byte) {
	if b.invalid {
		return
	}
	msg, err := parseOutgoing(p, &b.snapshot)
	if typ != websocket.Binary {
		err = errors.New("the server sends text")
	}
	if err != nil {
		log.Printf("a bot does not understand the server: %v", err)
		b.invalid = true
		go conn.Close(websocket.StatusPolicyViolation, "")
		return
	}
	switch msg := msg.(type) {
	case hello:
		b.motion = newMotion(int(msg.rate))
		b.send(conn, join{b.koi, true, b.name})
	case welcome:
		b.id, b.attempts = msg.id, 0
	case *snapshot:
		b.act(conn)
	}
}

// act acts on a snapshot.
func (b *bot) act(conn *websocket.Conn) {
	s := &b.snapshot
	every := uint32(max(1, b.motion.rate/decisions))
	if b.id == 0 || (s.tick+uint32(b.id))%every != 0 { // not all at the same time
		return
	}
	for i := range s.koi {
		if me := &s.koi[i]; me.id == b.id {
			b.seq++
			b.send(conn, steer{b.seq, b.brain.decide(&b.motion, s, me)})
			return
		}
	}
}

func (b *bot) send(conn *websocket.Conn, msg interface{ append([]byte) []byte }) {
	b.buf = msg.append(b.buf[:0])
	// After an error the connection ends, or the server does not read. The bot
	// can ignore both.
	conn.Send(websocket.Binary, b.buf)
}

func (b *bot) OnClose(_ *websocket.Conn, err error) { b.retry(err) }
