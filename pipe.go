package websocket

import "github.com/fullduplex-go/websocket/internal/bufpipe"

// pipeSize is how many bytes a Pipe holds in each direction before writers
// wait, as the buffers of a socket would.
const pipeSize = 64 << 10

// Pipe returns the two ends of a connection in memory, made for tests: the
// client's and the server's, with default [Options]. They speak the same
// protocol as over a network, keepalive included, and hold up to 64 KiB in
// each direction. A Pipe works inside a testing/synctest bubble.
func Pipe() (client, server *Conn) {
	a, b := bufpipe.New(pipeSize)
	opts := Options{}.withDefaults()
	return newConn(a, connConfig{client: true, opts: opts}), newConn(b, connConfig{opts: opts})
}
