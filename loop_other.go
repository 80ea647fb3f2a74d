//go:build !linux || ws_unix || ws_plain

package websocket

import "net"

// engine watches no connections here: each has a goroutine.
type engine struct{}

func newEngine(*Loop, int) (*engine, error) { return new(engine), nil }

func (*engine) register(*Conn, *loopHandler) (loopTransport, error) { return nil, nil }
func (*engine) start(*Conn)                                         {}
func (*engine) conns(*loopHandler) []*Conn                          { return nil }
func (*engine) stop()                                               {}
func (*engine) dropHandshakes()                                     {}

func (*engine) accept(*acceptor, net.Listener) error { return errForeign }
