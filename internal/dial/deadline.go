package dial

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errOver = errors.New("dial is over")

// deadline is the time that a dial may take: a context that has the values of
// the caller's and ends with it, or when the time is up. Unlike a derived
// context it can be let go without ending it. That matters to a RoundTripper
// which ties the connection to the context of the request.
type deadline struct {
	values context.Context // the caller's, without its end
	ctx    context.Context
	cancel context.CancelCauseFunc
	detach func() bool
	timer  *time.Timer // nil if there is no bound
}

func startDeadline(parent context.Context, timeout time.Duration) *deadline {
	s := &deadline{values: context.WithoutCancel(parent)}
	s.ctx, s.cancel = context.WithCancelCause(s.values)
	if parent.Err() != nil { // now, rather than when AfterFunc gets round to it
		s.cancel(endOfContext(parent))
	}
	s.detach = context.AfterFunc(parent, func() { s.cancel(endOfContext(parent)) })
	if timeout > 0 {
		s.timer = time.AfterFunc(timeout, func() {
			s.cancel(fmt.Errorf("handshake took longer than %v: %w", timeout, context.DeadlineExceeded))
		})
	}
	return s
}

// endOfContext returns why ctx has ended, such that errors.Is finds both its
// Err and its Cause.
func endOfContext(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// release lets go of the caller's context and of the clock. It reports false
// if either was faster; ctx has ended then.
func (s *deadline) release() bool {
	ok := s.detach()
	if s.timer != nil {
		ok = s.timer.Stop() && ok
	}
	if !ok {
		<-s.ctx.Done() // the one that was faster may be about to cancel
	}
	return ok
}

// end stops whatever still runs on behalf of the dial. It may be called more
// than once.
func (s *deadline) end() {
	s.cancel(errOver)
	s.detach()
	if s.timer != nil {
		s.timer.Stop()
	}
}
