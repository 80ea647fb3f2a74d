package dial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fullduplex-go/websocket/internal/prefix"
)

var errEnded = errors.New("dial is over")

// deadline is the context of a dial. It has the values of the caller's context,
// and ends with that context or when the time is up. Unlike a derived context it
// can be released without ending it. A RoundTripper that ties the connection to
// the context of the request needs that.
type deadline struct {
	values context.Context // the caller's, without its cancellation
	ctx    context.Context
	cancel context.CancelCauseFunc
	detach func() bool
	timer  *time.Timer // nil if there is no bound
}

func startDeadline(parent context.Context, timeout time.Duration) *deadline {
	s := &deadline{values: context.WithoutCancel(parent)}
	s.ctx, s.cancel = context.WithCancelCause(s.values)
	if parent.Err() != nil { // at once, since AfterFunc runs later
		s.cancel(EndOfContext(parent))
	}
	s.detach = context.AfterFunc(parent, func() { s.cancel(EndOfContext(parent)) })
	if timeout > 0 {
		s.timer = time.AfterFunc(timeout, func() {
			s.cancel(fmt.Errorf("handshake took longer than %v: %w", timeout, context.DeadlineExceeded))
		})
	}
	return s
}

// EndOfContext returns the error of ctx, in which errors.Is finds both its Err and
// its Cause.
func EndOfContext(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, prefix.Trim(cause))
}

// release detaches s from the caller's context and stops the timer. It returns
// false if s has ended already.
func (s *deadline) release() bool {
	ok := s.detach()
	if s.timer != nil {
		ok = s.timer.Stop() && ok
	}
	if !ok {
		<-s.ctx.Done() // the caller's context or the timer may be about to cancel
	}
	return ok
}

// end cancels the context, which stops everything that still runs for the dial.
// It may be called more than once.
func (s *deadline) end() {
	s.cancel(errEnded)
	s.detach()
	if s.timer != nil {
		s.timer.Stop()
	}
}
