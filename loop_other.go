//go:build !linux || ws_unix || ws_plain

package websocket

import "net"

// engine watches nothing here: every connection has a goroutine.
type engine struct{}

func newEngine(*Loop, int) (*engine, error) { return new(engine), nil }

func (*engine) adopt(*Conn, *sink) (loopTransport, error) { return nil, nil }
func (*engine) start(*Conn)                               {}
func (*engine) conns(*sink) []*Conn                       { return nil }
func (*engine) stop()                                     {}
func (*engine) dropShaking()                              {}

func (*engine) accept(*acceptor, net.Listener) error { return errForeign }
