//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// holdWrites is a net.Conn that keeps what is written until flush, so that several
// records of TLS arrive at once.
type holdWrites struct {
	net.Conn
	hold bool
	b    []byte
}

func (h *holdWrites) Write(p []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(p)
	}
	h.b = append(h.b, p...)
	return len(p), nil
}

func (h *holdWrites) flush() error {
	_, err := h.Conn.Write(h.b)
	h.b = h.b[:0]
	return err
}

// BenchmarkTLSEcho: an operation is a batch of messages of 128 bytes over TLS and
// the answers to it. The CPU and the writes are those of both sides; the client's
// are one write per batch.
func BenchmarkTLSEcho(b *testing.B) {
	for _, engine := range []string{"floor", "conn", "loop"} {
		for _, batch := range []struct {
			depth   int
			records string
		}{{1, "one"}, {16, "one"}, {16, "each"}} {
			b.Run(fmt.Sprintf("engine=%s/depth=%d/records=%s", engine, batch.depth, batch.records), func(b *testing.B) {
				benchTLSEcho(b, engine, batch.depth, batch.records == "each")
			})
		}
	}
}

func benchTLSEcho(b *testing.B, engine string, depth int, each bool) {
	a, s := tcpPair(b)
	under := &holdWrites{Conn: a}
	var client, server net.Conn
	if engine == "loop" {
		client, server = tlsOver(b, under, transport.NewPollable(s))
	} else {
		client, server = tlsOver(b, under, s)
	}
	defer client.Close()
	switch engine {
	case "floor":
		go echoFrames(server.(*tls.Conn))
	case "conn":
		c := newConn(server, connConfig{opts: Options{}.withDefaults()})
		defer c.CloseNow()
		go echo(c)
	case "loop":
		c := newConn(server, connConfig{opts: Options{}.withDefaults()})
		if err := newTestLoop(b, 1).Attach(c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}); err != nil {
			b.Fatal(err)
		}
	}
	msg := frame(OpBinary, true, true, string(make([]byte, 128)))
	out := bytes.Repeat(msg, depth)
	answers := make([]byte, len(out)-4*depth)
	under.hold = true
	exchange := func() {
		if each {
			for range depth {
				client.Write(msg)
			}
		} else {
			client.Write(out)
		}
		if err := under.flush(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, answers); err != nil {
			b.Fatal(err)
		}
	}
	for range 1000 / depth {
		exchange()
	}
	b.ReportAllocs()
	writes, cpu := selfWrites(), selfCPU()
	b.ResetTimer()
	for range b.N {
		exchange()
	}
	b.StopTimer()
	n := float64(b.N * depth)
	b.ReportMetric(float64(selfCPU()-cpu)/n, "cpu-ns/msg")
	b.ReportMetric(float64(selfWrites()-writes-b.N)/n, "writes/msg")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/msg")
}

// echoFrames answers frames of 128 bytes by hand, all that a read brings at once.
func echoFrames(nc *tls.Conn) {
	const in, out = 2 + 2 + 4 + 128, 2 + 2 + 128
	buf := make([]byte, 0, 16<<10)
	var reply []byte
	for {
		n, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+n]
		reply = reply[:0]
		for len(buf) >= in {
			key := [4]byte(buf[4:8])
			reply = append(append(reply, buf[0], 126, 0, 128), buf[8:in]...)
			Mask(reply[len(reply)-128:], key, 0)
			buf = buf[:copy(buf, buf[in:])]
		}
		if len(reply) > 0 {
			if _, err := nc.Write(reply); err != nil {
				return
			}
		}
	}
}

func selfCPU() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func selfWrites() int {
	text, _ := os.ReadFile("/proc/self/io")
	_, rest, _ := bytes.Cut(text, []byte("syscw: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := strconv.Atoi(string(line))
	return n
}
