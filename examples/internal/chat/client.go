package chat

import (
	"errors"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// client is one connection of the chat. One goroutine serves it: it reads the page's
// messages and acts on them. Nothing waits for the page to read: the connection
// queues messages for the page, and is closed if the page does not keep up. The page
// may connect again and get the history.
type client struct {
	conn *websocket.Conn
	subs []*hub.Subscription // belongs to the goroutine that reads

	// Written by the goroutine that reads, under Server.mu.
	room *room  // nil until the client has joined
	id   string // of the client's person
}

// send queues v for the page. It never blocks.
func (c *client) send(v any) {
	if err := c.conn.Send(websocket.Text, encode(v)); errors.Is(err, websocket.ErrBackpressure) {
		go c.conn.Close(websocket.StatusTryAgainLater, "too slow") // as the hub does; Close waits for the page
	}
}

func (c *client) subscribe(h *hub.Hub, topic string, opts *hub.SubscribeOptions) error {
	sub, err := h.Subscribe(topic, c.conn, opts)
	if err == nil {
		c.subs = append(c.subs, sub)
	}
	return err
}

func (c *client) unsubscribe() {
	for _, sub := range c.subs {
		sub.Unsubscribe()
	}
	c.subs = nil
}

// serve runs a connection until it ends. It is the WebSocket server's Handler.
func (s *Server) serve(conn *websocket.Conn) {
	c := &client{conn: conn}
	code, reason := s.read(c)
	c.unsubscribe()
	s.mu.Lock()
	s.leave(c)
	s.mu.Unlock()
	conn.Close(code, reason) // an error means that the connection has ended already
}

// read acts on the page's messages until the connection ends or is to be closed. It
// returns the code and reason for that.
func (s *Server) read(c *client) (code websocket.StatusCode, reason string) {
	tokens := newBucket(s.limits.rate, s.limits.burst, time.Now())
	refusals := 0
	idle := time.AfterFunc(s.limits.joinTimeout, func() {
		c.conn.Close(websocket.StatusPolicyViolation, "no room entered") // Close waits for the page
	})
	defer idle.Stop()
	for msg, err := range c.conn.Messages(c.conn.Context()) {
		if err != nil {
			break
		}
		if wait := tokens.take(time.Now()); wait > 0 {
			if refusals++; refusals > s.limits.maxRefusals {
				return websocket.StatusPolicyViolation, "too many messages"
			}
			c.send(slowDown(msg.Data, wait))
			continue
		}
		refusals = 0
		err := s.handle(c, msg)
		var r *refusal
		if errors.As(err, &r) {
			c.send(r)
		} else if err != nil {
			return websocket.StatusInternalError, "something went wrong"
		}
		if c.room != nil {
			idle.Stop()
		}
	}
	return websocket.StatusNormalClosure, ""
}

// handle acts on one message. A refusal is sent to the page, and the connection goes
// on; any other error ends the connection.
func (s *Server) handle(c *client, msg websocket.Message) error {
	if msg.Type != websocket.Text {
		return refuse("bad-type", "This chat speaks JSON in text messages.")
	}
	in, err := decode(msg.Data)
	if err != nil {
		return err
	}
	switch in.Type {
	case "join":
		return s.join(c, in)
	case "rename":
		return s.rename(c, in.Name)
	case "say":
		return withID(s.say(c, in.ID, in.Text), in.ID)
	case "typing":
		return s.typing(c, in.On)
	case "ping":
		rtt := float64(c.conn.RTT().Microseconds()) / 1000
		c.send(pong{Type: "pong", T: in.T, RTT: rtt})
		return nil
	}
	return refuse("bad-type", "There is no message of type %.20q.", in.Type)
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

// withID adds the id of the message that err is about, if it is a refusal.
func withID(err error, id string) error {
	var r *refusal
	if errors.As(err, &r) && len(id) <= 64 {
		r.ID = id
	}
	return err
}
