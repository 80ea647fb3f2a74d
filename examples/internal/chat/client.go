package chat

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// client is one connection of the chat. Two goroutines serve it: one reads what
// the page sends and acts on it, the other writes what the hub has queued. Only
// the writer ever waits for the page to read, so a page that does not read
// holds up nobody but itself. When its queue is full it is dropped; it may come
// back and get the history.
type client struct {
	out  chan []byte             // encoded messages on their way to the page
	ctx  context.Context         // done when the client is to go;
	drop context.CancelCauseFunc // its cause is a dropped if that was our wish

	// Guarded by hub.mu. Both are nil until the client has joined.
	room   *room
	person *person
}

// dropped says why the server ends a connection, in the terms of a close frame.
type dropped struct {
	code   websocket.StatusCode
	reason string
}

func (d *dropped) Error() string { return d.reason }

var (
	errSlow  = &dropped{websocket.StatusTryAgainLater, "you do not read fast enough"}
	errFlood = &dropped{websocket.StatusPolicyViolation, "too many messages"}
)

func newClient(ctx context.Context, queue int) *client {
	ctx, drop := context.WithCancelCause(ctx)
	return &client{out: make(chan []byte, queue), ctx: ctx, drop: drop}
}

// send queues a message. It never blocks: a client whose queue is full is
// dropped. What comes after that is not queued, even if there is room again, so
// a page never sees a gap between messages.
func (c *client) send(msg []byte) {
	if c.ctx.Err() != nil {
		return
	}
	select {
	case c.out <- msg:
	default:
		c.drop(errSlow)
	}
}

// serve runs a connection until it ends. It is the WebSocket server's Handler.
func serve(conn *websocket.Conn, h *hub) {
	c := newClient(conn.Context(), h.limits.queue)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(conn) })

	c.read(conn, h)
	h.leave(c)

	// This also ends a write that waits for the page: until then nothing has
	// disturbed it, because the close frame has to come after a whole message.
	code, reason := websocket.StatusNormalClosure, ""
	var d *dropped
	if errors.As(context.Cause(c.ctx), &d) {
		code, reason = d.code, d.reason
	}
	c.drop(nil)
	conn.Close(code, reason) // an error means that the connection has ended, which is the aim
	writer.Wait()
}

// write sends what is queued, until the client is to go.
func (c *client) write(conn *websocket.Conn) {
	for {
		select {
		case <-c.ctx.Done():
			return
		case msg := <-c.out:
			// A context that ends with the client would cut the message that
			// is on its way, and the page would never learn why. The end of
			// the connection ends a Write anyway.
			if err := conn.Write(context.Background(), websocket.Text, msg); err != nil {
				c.drop(err)
				return
			}
		}
	}
}

// read acts on what the page sends, until the connection ends or the client is
// dropped. The reason is of no interest here: whatever it is, the client goes.
func (c *client) read(conn *websocket.Conn, h *hub) {
	tokens := newBucket(h.limits.rate, h.limits.burst, time.Now())
	strikes := 0
	for msg, err := range conn.Messages(c.ctx) {
		if err != nil {
			return
		}
		if wait := tokens.take(time.Now()); wait > 0 {
			if strikes++; strikes > h.limits.strikes {
				c.drop(errFlood)
				return
			}
			c.sendError(slowDown(msg.Data, wait))
			continue
		}
		strikes = 0
		if err := c.handle(msg, conn, h); err != nil {
			c.sendError(err)
		}
	}
}

// handle acts on one message. An error is for the page, and the connection goes
// on.
func (c *client) handle(msg websocket.Message, conn *websocket.Conn, h *hub) error {
	if msg.Type != websocket.Text {
		return refuse("bad-type", "This chat speaks JSON in text messages.")
	}
	in, err := decode(msg.Data)
	if err != nil {
		return err
	}
	switch in.Type {
	case "join":
		return h.join(c, in.Key, in.Room, in.Name)
	case "rename":
		return h.rename(c, in.Name)
	case "say":
		return withID(h.say(c, in.ID, in.Text), in.ID)
	case "typing":
		return h.typing(c, in.On)
	case "ping":
		rtt := float64(conn.RTT().Microseconds()) / 1000
		c.send(encode(pong{Type: "pong", T: in.T, RTT: rtt}))
		return nil
	}
	return refuse("bad-type", "There is no message of type %.20q.", in.Type)
}

func (c *client) sendError(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = refuse("internal", "Something went wrong.")
	}
	c.send(encode(r))
}

// slowDown is the refusal of a message that came too early. A message's author
// learns which one it was.
func slowDown(data []byte, wait time.Duration) error {
	r := refuse("slow-down", "That was a bit much at once.")
	r.Wait = wait.Milliseconds() + 1
	in, err := decode(data)
	if err != nil || in.Type != "say" {
		return r
	}
	return withID(r, in.ID)
}

// withID adds the id of the message that err, a refusal, is about.
func withID(err error, id string) error {
	var r *refusal
	if errors.As(err, &r) && len(id) <= 64 {
		r.ID = id
	}
	return err
}
