package feed

import (
	"net"
	"sync"

	"github.com/fullduplex-go/websocket"
)

// ServeLoop serves WebSockets only, all of them on an event loop.
func (s *Source) ServeLoop(l net.Listener, options websocket.AcceptOptions) error {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		return err
	}
	defer loop.Close()
	return loop.Serve(l, &options, &events{source: s})
}

// events connects topics with the connections of a loop.
type events struct {
	source   *Source
	attached sync.Map // *websocket.Conn to the func() that detaches it
}

func (e *events) OnOpen(c *websocket.Conn) {
	if detach := e.source.attach(c); detach != nil {
		e.attached.Store(c, detach)
		return
	}
	go c.Close(websocket.StatusPolicyViolation, "no such topic") // which waits for the peer
}

func (e *events) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	go c.Close(websocket.StatusPolicyViolation, "nobody has asked you")
}

func (e *events) OnClose(c *websocket.Conn, err error) {
	if detach, ok := e.attached.LoadAndDelete(c); ok {
		detach.(func())()
	}
}
