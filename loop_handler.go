package websocket

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// loopHandler is an EventHandler with its loop. Connections share it.
type loopHandler struct {
	loop    *Loop
	handler EventHandler
	forget  bool // the request, after OnOpen
}

func (h *loopHandler) open(c *Conn) {
	if h.forget {
		defer c.forgetRequest()
	}
	defer c.containPanic("an EventHandler")
	h.handler.OnOpen(c)
}

func (h *loopHandler) message(c *Conn, m Message) {
	defer c.containPanic("an EventHandler")
	h.handler.OnMessage(c, m.Type, m.Data)
	overwrite(m.Data)
}

func (h *loopHandler) close(c *Conn) {
	defer c.containPanic("an EventHandler")
	h.handler.OnClose(c, c.life.cause.Load())
}

// logPanic reports a panic that belongs to no connection.
func (l *Loop) logPanic(where string, v any) {
	l.logger.Error("websocket: panic in "+where, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// serve is the goroutine of a connection that no engine can watch.
func (h *loopHandler) serve(c *Conn) {
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in a handler
			c.startClose(StatusInternalError, "")
			go h.finish(c)
		}
	}()
	h.open(c)
	var loan *buffer.Buffer
	for {
		m, next, err := c.nextLoan(context.Background(), loan, true)
		loan = next
		if err != nil {
			break
		}
		h.message(c, m)
	}
	returned = true
	h.finish(c)
}

// finish ends what serve began.
func (h *loopHandler) finish(c *Conn) {
	l := h.loop
	defer func() {
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		l.leave()
	}()
	<-c.ended()
	h.close(c)
}
