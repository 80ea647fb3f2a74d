//go:build linux

package load

// memory opens the connections and pauses in each state. Some connections are opened and
// closed before the first pause: they load code and tables of the server into memory,
// which do not belong to the connections that are measured.
func (r *runner) memory(pause Pause) error {
	for step := range 3 {
		var err error
		switch step {
		case 0:
			if err = r.open(min(r.Conns, 16)); err == nil {
				if err = r.write(); err == nil {
					err = r.echoMessages()
				}
			}
			r.closeConns()
		case 1:
			err = r.open(r.Conns)
		case 2:
			err = r.echoMessages()
		}
		if err != nil {
			return err
		}
		if err := WaitIdle(r.ctx, r.PID); err != nil {
			return err
		}
		if err := pause([]string{PauseEmpty, PauseIdle, PauseUsed}[step]); err != nil {
			return err
		}
	}
	return nil
}

// echoMessages has every connection echo its messages, one at a time.
func (r *runner) echoMessages() error {
	for range max(r.Messages, 1) {
		if _, err := r.verify(1); err != nil {
			return err
		}
	}
	return nil
}
