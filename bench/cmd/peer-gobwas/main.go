// Command peer-gobwas is the gobwas/ws server of the comparison.
//
// The package is a codec: the results depend on the server that is built from it.
// This server follows its README:
//
//   - ws.Upgrader straight on the listener, the zero-copy upgrade, without
//     net/http.
//   - The low-level API, ws.ReadHeader with a header buffer of the caller's and
//     ws.Cipher in place, for no allocations per message.
//   - I/O buffers reused between connections, which the README names as the
//     package's aim: a connection borrows a read buffer only while bytes are
//     in it, and a message buffer only while it handles a message. Under TLS it
//     borrows none for reading: crypto/tls has one that holds the record.
//   - Header and payload leave in one write, where ws.WriteFrame would make
//     two: the payload is read behind room for the header.
//   - ws.CheckHeader and a limit for the length, as its section on limits asks
//     for.
//   - wsflate for permessage-deflate, with the parameters of the README, which
//     are those without context takeover. Its Helper makes a new compressor at
//     level 9 for every message; here wsflate's Reader and Writer are pooled
//     and the level is flate.BestSpeed, as with all other peers.
//
// A message is answered as soon as it is read, one write each, as the examples
// do and as the other libraries do inside.
//
// wsflate keeps no window between messages, so there is no context takeover.
// The package has no event loop either.
package main

import (
	"net"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off, contract.NoTakeover}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	l = set.Listener(l)
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go open(nc, set.Compress == contract.NoTakeover)
	}
}

// open upgrades nc and leaves the rest to a goroutine with a fresh stack.
func open(nc net.Conn, compress bool) {
	run := echo
	extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	upgrader := ws.Upgrader{OnRequest: func(uri []byte) error {
		if string(uri) == "/broadcast" {
			run = broadcast
		}
		return nil
	}}
	if compress {
		upgrader.Negotiate = extension.Negotiate
	}
	if _, err := upgrader.Upgrade(nc); err != nil {
		nc.Close()
		return
	}
	_, deflate := extension.Accepted()
	c, err := newConn(nc, deflate)
	if err != nil {
		nc.Close()
		return
	}
	go run(c)
}

func echo(c *conn) {
	defer c.nc.Close()
	for {
		m, err := c.read()
		if err != nil {
			return
		}
		if err := c.write(m); err != nil {
			return
		}
		m.free()
	}
}

var everyone contract.Set[*conn]

func broadcast(c *conn) {
	defer c.nc.Close()
	everyone.Add(c)
	defer everyone.Remove(c)
	for {
		m, err := c.read()
		if err != nil {
			return
		}
		if err := deliver(m); err != nil {
			return
		}
		m.free()
	}
}

// deliver sends m to everyone: the same frame, made once, or twice if some
// take it compressed.
func deliver(m *message) error {
	plain := m.frame(false)
	var compressed []byte
	for _, to := range everyone.All() {
		frame := plain
		if to.deflate {
			if compressed == nil {
				packed, err := m.deflated()
				if err != nil {
					return err
				}
				defer packed.free()
				compressed = packed.frame(true)
			}
			frame = compressed
		}
		to.nc.Write(frame) // after an error the connection's own reader fails
	}
	return nil
}
