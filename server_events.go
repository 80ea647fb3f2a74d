package websocket

// serverEvents is the handler of a Server's connections on a loop. It calls Events,
// and opened and leave of the Server.
type serverEvents struct{ s *Server }

// OnOpen frees the request before any other event, and before ServeHTTP returns.
func (e serverEvents) OnOpen(c *Conn) {
	defer e.s.opened(c) // even if it panics
	e.s.Events.OnOpen(c)
}

func (e serverEvents) OnMessage(c *Conn, typ MessageType, p []byte) { e.s.Events.OnMessage(c, typ, p) }

func (e serverEvents) OnClose(c *Conn, err error) {
	defer e.s.leave(nil)
	e.s.Events.OnClose(c, err)
}

// attach hands c, which enter has counted, to the loop, and waits until OnOpen has
// returned. The loop calls OnOpen in any case, also when the loop is shut down.
func (s *Server) attach(c *Conn) {
	opened := s.awaitOpen(c)
	err := s.Loop.attach(c, s.events())
	if err != nil {
		s.opened(c)
		go func() {
			defer s.leave(nil)
			c.notAttached(err, s.logger())
		}()
		return
	}
	switch s.currentPhase() { // it may have changed during the handshake
	case phaseDraining:
		c.startClose(StatusGoingAway, "")
	case phaseCut:
		c.cut(errServerClosed)
	}
	<-opened
}

// awaitOpen returns a channel that is closed by opened.
func (s *Server) awaitOpen(c *Conn) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opening == nil {
		s.opening = make(map[*Conn]chan struct{})
	}
	opened := make(chan struct{})
	s.opening[c] = opened
	return opened
}

// opened is called when OnOpen has returned, or will not be called.
func (s *Server) opened(c *Conn) {
	if s.ForgetRequest {
		c.forgetRequest()
	} else {
		c.forgetValues()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.opening[c])
	delete(s.opening, c)
}

// events returns the loopHandler of s, always the same.
func (s *Server) events() *loopHandler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loopHandler == nil {
		s.loopHandler = &loopHandler{loop: s.Loop, handler: serverEvents{s}}
	}
	return s.loopHandler
}

func (s *Server) currentPhase() serverPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}
