package websocket

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
)

// sink is a handler with its loop: what connections share.
type sink struct {
	loop    *Loop
	handler EventHandler
	forget  bool // the request, after OnOpen
}

func (s *sink) open(c *Conn) {
	if s.forget {
		defer c.forgetRequest()
	}
	defer s.contain(c)
	s.handler.OnOpen(c)
}

func (s *sink) message(c *Conn, m Message) {
	defer s.contain(c)
	s.handler.OnMessage(c, m.Type, m.Data)
	if scribble {
		for i := range m.Data {
			m.Data[i] = 0xdb
		}
	}
}

func (s *sink) close(c *Conn) {
	defer s.contain(c)
	s.handler.OnClose(c, c.life.cause.Load())
}

// contain keeps a handler's panic to its connection.
func (s *sink) contain(c *Conn) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		c.CloseNow()
	default:
		c.logPanic("an EventHandler", v)
		c.startClose(StatusInternalError, "")
	}
}

// logPanic reports a panic that no connection is to blame for.
func (l *Loop) logPanic(where string, v any) {
	l.logger.Error("websocket: panic in "+where, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// serve is the loop of a connection that no engine can watch.
func (s *sink) serve(c *Conn) {
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in a handler
			c.startClose(StatusInternalError, "")
			go s.finish(c)
		}
	}()
	s.open(c)
	var loan *buffer
	for {
		m, next, err := c.nextLoan(context.Background(), loan, true)
		loan = next
		if err == ErrConcurrentRead { // a call that will hear that a loop reads
			runtime.Gosched()
			continue
		}
		if err != nil {
			break
		}
		s.message(c, m)
	}
	returned = true
	s.finish(c)
}

// finish ends what serve began.
func (s *sink) finish(c *Conn) {
	l := s.loop
	defer func() {
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		l.leave()
	}()
	<-c.ended()
	s.close(c)
}
