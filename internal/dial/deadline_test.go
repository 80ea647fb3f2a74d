package dial

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// TestDeadline: whichever comes first wins, and a deadline that was let go
// does not end any more.
func TestDeadline(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	s := startDeadline(parent, time.Hour)
	if !s.release() {
		t.Error("a new deadline has passed")
	}
	cancel(io.EOF)
	if s.ctx.Err() != nil {
		t.Error("a deadline passed after it was released")
	}
	s = startDeadline(parent, 0)
	if err := context.Cause(s.ctx); !errors.Is(err, io.EOF) || !errors.Is(err, context.Canceled) {
		t.Errorf("deadline of a context that has ended: %v", err)
	}
	if s.release() {
		t.Error("that deadline could be released")
	}
	s = startDeadline(context.Background(), time.Nanosecond)
	<-s.ctx.Done()
	if s.release() || !errors.Is(context.Cause(s.ctx), context.DeadlineExceeded) {
		t.Errorf("deadline that has passed: %v", context.Cause(s.ctx))
	}
	s.end()
	s.end()
}
