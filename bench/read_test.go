package bench

import (
	"bytes"
	"fmt"
	"testing"
)

// reader is one way of reading messages: a library, and the part of its API
// that is used.
type reader struct {
	lib, api string
	// open makes a connection of nc, a server's or a client's, and returns
	// a function that reads n messages and shows each to see, which does not
	// keep it. The function is called once.
	open func(tb testing.TB, nc *memConn, server bool) (read func(n int, see func([]byte)) error)
}

// readMessages reads n messages of the given size through r. With check set
// it compares each with what was sent.
func readMessages(tb testing.TB, r reader, masked bool, size, n int, check bool) {
	want := payload(size)
	nc := newMemConn(want, masked, !masked && r.lib != "gobwas" && r.lib != "nbio")
	read := r.open(tb, nc, masked)
	bytesRead, wrong := 0, 0
	see := func(p []byte) { bytesRead += len(p) }
	if check {
		see = func(p []byte) {
			bytesRead += len(p)
			if !bytes.Equal(p, want) {
				wrong++
			}
		}
	}
	if b, ok := tb.(*testing.B); ok && !check {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		b.ResetTimer()
		defer b.StopTimer()
	}
	err := read(n, see)
	must(tb, err)
	if bytesRead != n*size || wrong > 0 {
		tb.Fatalf("%d bytes of %d messages of %d, %d of them wrong", bytesRead, n, size, wrong)
	}
}

// TestRead runs every benchmark of BenchmarkRead for as many messages as make
// the input begin anew, and looks at what they read.
func TestRead(t *testing.T) {
	eachRead(func(name string, r reader, masked bool, size int) {
		t.Run(name, func(t *testing.T) {
			readMessages(t, r, masked, size, 1+wireSize/size, true)
		})
	})
}

// BenchmarkRead: an operation is a message read.
func BenchmarkRead(b *testing.B) {
	eachRead(func(name string, r reader, masked bool, size int) {
		b.Run(name, func(b *testing.B) {
			readMessages(b, r, masked, size, 3, true)
			readMessages(b, r, masked, size, b.N, false)
		})
	})
}

func eachRead(f func(name string, r reader, masked bool, size int)) {
	for _, masked := range []bool{true, false} {
		for _, size := range sizes {
			for _, r := range readers {
				f(fmt.Sprintf("%s/size=%d/lib=%s.%s", maskedOrPlain(masked), size, r.lib, r.api), r, masked, size)
			}
		}
	}
}
