package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// text returns some compressible text that depends on i.
func someText(i, size int) []byte {
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":%d,"symbol":"ACME","price":%d.25},`, i, i*7+b.Len())
	}
	return b.Bytes()[:size]
}

// TestPreparedIsEncodedOnce: once per window and level that is in use, and each
// connection is given the same memory.
func TestPreparedIsEncodedOnce(t *testing.T) {
	m, err := NewPreparedMessage(Text, someText(1, 1000))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []*compression{
		nil,
		{Level: 4, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 9, RecvBits: 15},
		{Level: 4, SendBits: 15, RecvBits: 9, SendTakeover: true, RecvTakeover: true},
		{Level: 1, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 15, RecvBits: 15, Threshold: 1001},
	}
	frames := make(map[*byte]int)
	for range 3 {
		for _, k := range kinds {
			a, b := net.Pipe()
			defer b.Close()
			c := newConn(a, connConfig{opts: Options{}.withDefaults(), agreement: compressing(k)})
			defer c.CloseNow()
			var f outFrame
			m.frame(c, &f)
			frames[unsafe.SliceData(f.p)]++
			if f.pack != packNone != (k != nil && k.SendTakeover) {
				t.Errorf("%+v: packing %d", k, f.pack)
			}
		}
	}
	if len(frames) != 4 { // plain, and three of the compressed kinds differ
		t.Errorf("%d encodings", len(frames))
	}
	n := 0
	for v := m.encoded.Load(); v != nil; v = v.next {
		n++
	}
	if n != 3 {
		t.Errorf("compressed %d times", n)
	}
}

// TestPreparedGetsNoSmaller: then it goes out plain, with takeover, too.
func TestPreparedGetsNoSmaller(t *testing.T) {
	p := make([]byte, 1000)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(p)
	m, err := NewPreparedMessage(Binary, p)
	if err != nil {
		t.Fatal(err)
	}
	client, server := compressedPair(t, compression{Level: 4, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true})
	var f outFrame
	if m.frame(server, &f); f.pack != packNone || unsafe.SliceData(f.p) != unsafe.SliceData(m.plain) {
		t.Error("something else than the plain frame", f.pack)
	}
	if err := server.SendPrepared(m); err != nil {
		t.Fatal(err)
	}
	if _, got, err := client.Read(bg); !bytes.Equal(got, p) || err != nil {
		t.Error(len(got), err)
	}
}

// TestCompressedSends: prepared messages, sends and writes on connections with
// and without takeover, while the peer keeps up and while it does not.
func TestCompressedSends(t *testing.T) {
	for _, p := range []compression{
		{Level: 4, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 10, RecvBits: 10, SendTakeover: true, RecvTakeover: true},
		{Level: 1, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true},
	} {
		for _, k := range kinds {
			for _, fromClient := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d bits/%v/%s/client=%v", p.SendBits, p.SendTakeover, k.name, fromClient), func(t *testing.T) {
					a, b := k.pair(t)
					smallBuffers(a)
					smallBuffers(b)
					opts := Options{SendBuffer: 20_000}.withDefaults()
					from := newConn(a, connConfig{client: fromClient, opts: opts, agreement: compressing(&p)})
					to := newConn(b, connConfig{client: !fromClient, opts: opts, agreement: compressing(&p)})
					defer from.CloseNow()
					defer to.CloseNow()
					if k.loop {
						readOnLoop(t, newTestLoop(t, 1), from)
					}
					sent := make(chan []byte, 1000) // what to must receive
					done := make(chan struct{})
					receive := func() {
						defer close(done)
						for want := range sent {
							if _, got, err := to.Read(bg); !bytes.Equal(got, want) || err != nil {
								t.Errorf("%d bytes instead of %d, %v", len(got), len(want), err)
								to.CloseNow()
								return
							}
						}
					}
					rnd := rand.New(rand.NewPCG(1, 5))
					sendSome := func(n int, full func()) {
						for i := range n {
							msg := someText(i%50, 100+rnd.IntN(10_000))
							m, err := NewPreparedMessage(Text, msg)
							if err != nil {
								t.Fatal(err)
							}
							send := func() error { return from.Send(Text, msg) }
							if i%2 == 0 {
								send = func() error { return from.SendPrepared(m) }
							}
							for err = send(); err == ErrBackpressure; err = send() {
								full()
							}
							if err != nil {
								t.Fatal(err)
							}
							sent <- msg
						}
					}
					// Nobody reads before the queue is full.
					var started sync.Once
					sendSome(200, func() {
						started.Do(func() { go receive() })
						mustReceive(t, from.Drained())
					})
					started.Do(func() { go receive() })
					last := []byte(strings.Repeat(`"symbol"`, 100))
					if err := from.Write(bg, Text, last); err != nil {
						t.Fatal(err)
					}
					sent <- last
					close(sent)
					mustReceive(t, done)
					mustReceive(t, from.Drained())
				})
			}
		}
	}
}

// smallBuffers has nc's socket, if it has one, hold little.
func smallBuffers(nc net.Conn) {
	if over, ok := nc.(*tls.Conn); ok {
		nc = over.NetConn()
	}
	if over, ok := nc.(*transport.Pollable); ok {
		nc = over.Get()
	}
	if nc, ok := nc.(*net.TCPConn); ok {
		nc.SetWriteBuffer(16 << 10)
		nc.SetReadBuffer(16 << 10)
	}
}

// TestSendAllocs: Send and SendPrepared allocate nothing as long as the peer
// keeps up.
func TestSendAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop things at random under the race detector")
	}
	for _, k := range kinds {
		if k.name != "tcp" && k.name != "loop tcp" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			c, peer := k.raw(t, false, Options{PingInterval: -1})
			msg := someText(1, 1000)
			m, err := NewPreparedMessage(Text, msg)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			for name, send := range map[string]func() error{
				"Send":          func() error { return c.Send(Text, msg) },
				"SendPrepared":  func() error { return c.SendPrepared(m) },
				"WritePrepared": func() error { return c.WritePrepared(bg, m) },
			} {
				n := testing.AllocsPerRun(200, func() {
					if err := send(); err != nil {
						t.Fatal(err)
					}
					for got := 0; got < len(m.plain); {
						n, err := peer.Read(buf)
						if err != nil {
							t.Fatal(err)
						}
						got += n
					}
				})
				if n != 0 {
					t.Errorf("%s: %v allocations", name, n)
				}
			}
		})
	}
}
