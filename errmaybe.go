package websocket

import "errors"

// ErrMaybeSent is wrapped by the error of a write that its context has ended
// when the peer may get the message all the same.
var ErrMaybeSent = errors.New("websocket: the message may have been sent")
