package websocket

import (
	"bytes"
	"math/rand/v2"
	"net"
	"testing"
	"unsafe"

	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// TestPreparedIsEncodedOnce: once per window and level that is in use, and each
// connection is given the same memory.
func TestPreparedIsEncodedOnce(t *testing.T) {
	m, err := NewPreparedMessage(Text, deflatetest.Text(1000, 1))
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
			msg := deflatetest.Text(1000, 1)
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
