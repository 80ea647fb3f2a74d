// Command peer-gws is the lxzan/gws server of the comparison.
//
// Settings, after the package's README:
//
//   - gws.Server accepts the connections itself, without net/http's server, as
//     in the quick start.
//   - ReadLoop runs on a goroutine of its own, as recommended, so that the
//     request and the stack that has read it can be collected.
//   - ParallelEnabled stays off: it would give up the order of the messages.
//   - Buffers keep their defaults: 4 KiB for reading; frames are written from
//     pooled buffers. CheckUtf8Enabled stays off, which is the default and
//     said to be faster.
//   - Every message is closed after use, which gives its buffer back.
//   - A Broadcaster for the broadcast: the frame is made once, and written by
//     a queue for each connection.
//   - PermessageDeflate with its defaults, which for a server with context
//     takeover are windows of 4 KiB: they cost it less time and memory than
//     the 32 KiB of the other peers, and the replies are a little longer.
//
// It has no event loop.
package main

import (
	"bufio"
	"bytes"
	"net"
	"net/http"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/lxzan/gws"
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off, contract.NoTakeover, contract.Takeover}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	takeover := set.Compress == contract.Takeover
	options := func() *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize:  contract.ReadLimit,
			WriteMaxPayloadSize: contract.ReadLimit,
			PermessageDeflate: gws.PermessageDeflate{
				Enabled:               set.Compress != contract.Off,
				ServerContextTakeover: takeover,
				ClientContextTakeover: takeover,
			},
		}
	}
	server := gws.NewServer(new(echo), options())
	broadcasts := gws.NewUpgrader(&broadcast{keep: takeover}, options())
	server.OnRequest = func(nc net.Conn, br *bufio.Reader, r *http.Request) {
		upgrader := server.GetUpgrader()
		if r.URL.Path == "/broadcast" {
			upgrader = broadcasts
		}
		if c, err := upgrader.UpgradeFromConn(nc, br, r); err == nil {
			go c.ReadLoop()
		}
	}
	// Without this, a request that cannot be read is logged and its
	// connection stays open.
	server.OnError = func(nc net.Conn, _ error) {
		if nc != nil {
			nc.Close()
		}
	}
	return server.RunListener(set.Listener(l)) // as RunTLS does
}

type echo struct{ gws.BuiltinEventHandler }

func (*echo) OnMessage(c *gws.Conn, m *gws.Message) {
	c.WriteMessage(m.Opcode, m.Bytes())
	m.Close()
}

type broadcast struct {
	gws.BuiltinEventHandler
	everyone contract.Set[*gws.Conn]
	keep     bool // whether the writers look at the message after OnMessage
}

func (b *broadcast) OnOpen(c *gws.Conn)           { b.everyone.Add(c) }
func (b *broadcast) OnClose(c *gws.Conn, _ error) { b.everyone.Remove(c) }

func (b *broadcast) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	p := m.Bytes()
	if b.keep {
		p = bytes.Clone(p) // a writer appends it to its window when its turn comes
	}
	frame := gws.NewBroadcaster(m.Opcode, p)
	defer frame.Close()
	for _, to := range b.everyone.All() {
		frame.Broadcast(to) // one that fails ends by itself
	}
}
