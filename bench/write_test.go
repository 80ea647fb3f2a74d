package bench

import (
	"bytes"
	"fmt"
	"testing"
)

// writer is one way of writing messages.
type writer struct {
	lib, api string
	// open makes a connection of nc, a server's or a client's, and returns
	// a function that writes one message. No message is larger than size.
	open func(tb testing.TB, nc *memConn, server bool, size int) (write func(p []byte) error)
}

// openWriter opens a connection through w, and counts from there.
func openWriter(tb testing.TB, w writer, masked bool, size int) (*memConn, func([]byte) error) {
	nc := newMemConn(nil, !masked, masked && w.lib != "gobwas" && w.lib != "nbio")
	write := w.open(tb, nc, !masked, size)
	nc.writes, nc.written = 0, 0
	return nc, write
}

// checkWriter writes a few messages and looks at the frames.
func checkWriter(tb testing.TB, w writer, masked bool, size int) {
	tb.Helper()
	nc, write := openWriter(tb, w, masked, size)
	nc.tape = new(bytes.Buffer)
	p := payload(size)
	const n = 3
	for range n {
		must(tb, write(p))
	}
	if !bytes.Equal(p, payload(size)) {
		tb.Fatal("the message was changed")
	}
	got, err := messages(nc.tape.Bytes(), masked)
	must(tb, err)
	if len(got) != n {
		tb.Fatalf("%d messages, want %d", len(got), n)
	}
	for _, m := range got {
		if !bytes.Equal(m, p) {
			tb.Fatal("another message was written")
		}
	}
}

// TestWrite runs every benchmark of BenchmarkWrite and looks at what they
// write.
func TestWrite(t *testing.T) {
	eachWrite(func(name string, w writer, masked bool, size int) {
		t.Run(name, func(t *testing.T) { checkWriter(t, w, masked, size) })
	})
}

// BenchmarkWrite: an operation is a message written, and writes/op how often
// that calls the connection's Write.
//
// The cost of a socket is not in it, neither the system call nor the
// kernel's copy. So two calls look cheap here that are dear on a network
// (gobwas), and so does a large message that a library hands over uncopied. On
// TCP, though not here, two slices may leave in one system call: gorilla and
// this library do that with large messages of a server.
func BenchmarkWrite(b *testing.B) {
	eachWrite(func(name string, w writer, masked bool, size int) {
		b.Run(name, func(b *testing.B) {
			checkWriter(b, w, masked, size)
			nc, write := openWriter(b, w, masked, size)
			p := payload(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := write(p); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if nc.written < b.N*size {
				b.Fatalf("%d bytes for %d messages of %d", nc.written, b.N, size)
			}
			b.ReportMetric(float64(nc.writes)/float64(b.N), "writes/op")
		})
	})
}

func eachWrite(f func(name string, w writer, masked bool, size int)) {
	for _, masked := range []bool{true, false} {
		for _, size := range sizes {
			for _, w := range writers {
				f(fmt.Sprintf("%s/size=%d/lib=%s.%s", maskedOrPlain(masked), size, w.lib, w.api), w, masked, size)
			}
		}
	}
}
