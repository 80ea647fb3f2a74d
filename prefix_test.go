package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// The text of an error begins with the package's prefix once, whatever the error wraps,
// and errors.Is finds what it wraps.
func TestErrorPrefix(t *testing.T) {
	ended := &CloseError{Code: StatusGoingAway}
	cancelled, cancel := context.WithCancelCause(bg)
	cancel(ended)
	inherited, cancel := context.WithCancelCause(bg)
	cancel(contextError(cancelled))

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, _, refused := Dial(bg, "ws"+strings.TrimPrefix(web.URL, "http"), nil)
	_, _, late := Dial(cancelled, "ws"+strings.TrimPrefix(web.URL, "http"), nil)

	silent := func(code StatusCode) error { // closed without an answer of the peer
		peer, nc := tcpPair(t)
		defer peer.Close()
		c := newConn(nc, connConfig{opts: Options{CloseTimeout: 10 * time.Millisecond}.withDefaults()})
		return c.Close(code, "")
	}
	small, other := net.Pipe()
	defer other.Close()
	sender := newConn(small, connConfig{opts: Options{SendBuffer: 100}.withDefaults()})
	defer sender.CloseNow()
	tooLarge := sender.Send(Text, make([]byte, 200))

	failed := &CloseError{Code: StatusAbnormalClosure, Err: sender.writeTimeoutError()}
	both := (&life{extra: &connExtra{writeErr: failed}}).decideLocked(eventInputEnd, &CloseError{Err: io.EOF})

	for _, tt := range []struct {
		name  string
		err   error
		wraps error
	}{
		{"Send", tooLarge, ErrMessageTooBig},
		{"context", contextError(cancelled), context.Canceled},
		{"its cause", contextError(cancelled), ended},
		{"a context of a context", contextError(inherited), ended},
		{"maybe sent", maybeSent(contextError(cancelled)), ErrMaybeSent},
		{"maybe sent, late", maybeSent(sender.writeTimeoutError()), os.ErrDeadlineExceeded},
		{"no answer", silent(StatusNormalClosure), net.ErrClosed},
		{"no answer to a bad code", silent(999), net.ErrClosed},
		{"Dial, refused", refused, nil},
		{"Dial, late", late, ended},
		{"Admit", notAdmitted(ErrDead), ErrDead},
		{"Admit with a status", notAdmitted(&HandshakeError{Status: 200, err: ErrDead}), ErrDead},
		{"dead", &CloseError{Code: StatusAbnormalClosure, Err: ErrDead}, ErrDead},
		{"read limit", &CloseError{Code: StatusMessageTooBig, Err: tooBig(1, 2, 2)}, ErrMessageTooBig},
		{"read and write failed", both, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil {
				t.Fatal("no error")
			}
			s := tt.err.Error()
			if !strings.HasPrefix(s, "websocket: ") || strings.Count(s, "websocket: ") != 1 {
				t.Errorf("the text is %q", s)
			}
			if tt.wraps != nil && !errors.Is(tt.err, tt.wraps) {
				t.Errorf("%q does not wrap %q", s, tt.wraps)
			}
		})
	}
	if want := "websocket: message of 200 bytes is over Options.SendBuffer (100)"; tooLarge.Error() != want {
		t.Errorf("Send returns %q", tooLarge)
	}
}
