package websocket

// serverEvents is the handler of a Server's connections on a loop: Events, and
// the Server's own books.
type serverEvents struct{ s *Server }

func (e serverEvents) OnOpen(c *Conn) { e.s.Events.OnOpen(c) }

func (e serverEvents) OnMessage(c *Conn, typ MessageType, p []byte) { e.s.Events.OnMessage(c, typ, p) }

func (e serverEvents) OnClose(c *Conn, err error) {
	defer e.s.leave(nil)
	e.s.Events.OnClose(c, err)
}

// attach hands c, which enter has counted, to the loop.
func (s *Server) attach(c *Conn) {
	err := s.Loop.attach(c, s.events())
	if err != nil {
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
		c.abort(errServerClosed)
	}
}

// events returns the sink of s, always the same.
func (s *Server) events() *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink == nil {
		s.sink = &sink{s.Loop, serverEvents{s}, s.ForgetRequest}
	}
	return s.sink
}

func (s *Server) currentPhase() serverPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}
