package wstest

import (
	"net"
	"testing"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// PipeSize is how many bytes a pipe of Transports holds in each direction.
const PipeSize = 64 << 10

// Kind is a kind of connection.
type Kind struct {
	Name string
	Pair func(testing.TB) (client, server net.Conn)
}

// Transports are the kinds that tests of reads and writes run over.
var Transports = []Kind{
	{"pipe", func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(PipeSize)
		return a, b
	}},
	{"tcp", TCPPair},
	{"tls", TLSPair},
	{"no deadlines", func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(PipeSize)
		return NoDeadlines{a}, NoDeadlines{b}
	}},
}
