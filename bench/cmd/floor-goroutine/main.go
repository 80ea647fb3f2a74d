// Command floor-goroutine shows the cost of a goroutine per connection without
// any WebSocket: after the handshake it writes back the bytes that it reads,
// on "/broadcast" to every connection.
//
// Under TLS it shows the cost of crypto/tls: a record comes with a read, and is sent
// back as a record of its own.
//
// Each connection starts with a small buffer and gets a larger one whenever a
// read fills it: 4 KiB with the first real traffic, up to 256 KiB.
package main

import (
	"net"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

const (
	firstBuffer = 128
	nextBuffer  = 4 << 10
	maxBuffer   = 256 << 10
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	l = set.Listener(l)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go open(c)
	}
}

// open answers the handshake and leaves the rest to a goroutine with a fresh
// stack.
func open(c net.Conn) {
	request := make([]byte, 0, contract.MaxRequest)
	for {
		n, err := c.Read(request[len(request):cap(request)])
		request = request[:len(request)+n]
		if err != nil {
			c.Close()
			return
		}
		path, response, err := contract.Answer(request)
		if err != nil {
			c.Close()
			return
		}
		if response == nil {
			continue
		}
		run := echo
		if path == "/broadcast" {
			run = broadcast
		}
		if _, err := c.Write(response); err != nil {
			c.Close()
			return
		}
		go run(c)
		return
	}
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, firstBuffer)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
		buf = grown(buf, n)
	}
}

var everyone contract.Set[net.Conn]

func broadcast(c net.Conn) {
	defer c.Close()
	everyone.Add(c)
	defer everyone.Remove(c)
	buf := make([]byte, firstBuffer)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for _, to := range everyone.All() {
			to.Write(buf[:n]) // after an error the connection's own reader fails
		}
		buf = grown(buf, n)
	}
}

// grown returns the buffer for the next read after a read of n bytes.
func grown(buf []byte, n int) []byte {
	if n < len(buf) || n == maxBuffer {
		return buf
	}
	return make([]byte, min(max(4*n, nextBuffer), maxBuffer))
}
