//go:build linux

package load

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// The library is asked whether our frames are frames; in this test the two
// implementations judge each other.
func TestAppendFrame(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 70001} {
		payload := numbered(size, 1, 5)[0]
		key := [4]byte{1, 0x22, 0xf3, 0x84}
		b := appendFrame(nil, finBit|opBinary, key, payload)
		h, n, err := websocket.ParseHeader(b)
		if err != nil || !h.Masked || h.Key != key || h.Opcode != websocket.OpBinary || int(h.Length) != size || len(b) != n+size {
			t.Fatalf("size %d: %+v, %d, %v", size, h, n, err)
		}
		websocket.Mask(b[n:], key, 0)
		if !bytes.Equal(b[n:], payload) {
			t.Errorf("size %d: payload differs", size)
		}
	}
}

// serverFrame is an unmasked frame.
func serverFrame(first byte, payload []byte) []byte {
	b := appendFrame(nil, first, [4]byte{}, payload)
	n := len(b) - len(payload) - 4
	b[1] &^= maskBit
	return append(b[:n], payload...)
}

// The frameScanner counts the same however the stream is cut.
func TestFrameScanner(t *testing.T) {
	var stream []byte
	for _, f := range []struct {
		first byte
		size  int
	}{{0x82, 0}, {0x82, 5}, {0x02, 3}, {0x00, 0}, {0x80, 200}, {0x81, 126}, {0x01, 0}, {0x80, 0}, {0x82, 70000}} {
		stream = append(stream, serverFrame(f.first, make([]byte, f.size))...)
	}
	const messages = 6
	for cut := 1; cut < 600; cut++ {
		var w frameScanner
		got := 0
		for part := range slices.Chunk(stream, cut) {
			n, err := w.feed(part)
			if err != nil {
				t.Fatalf("pieces of %d: %v", cut, err)
			}
			got += n
		}
		if got != messages || w.skip != 0 || w.have != 0 {
			t.Fatalf("pieces of %d: %d messages, want %d", cut, got, messages)
		}
	}
}

func TestFrameScannerRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked": {0x82, 0x81, 0, 0, 0, 0, 1}, "ping": {0x89, 0}, "close": {0x88, 2, 3, 0xe8},
		"reserved bit": {0xa2, 0}, "compressed": {0xc2, 1, 0}, "endless": {0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := new(frameScanner).feed(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]float64{0: 1000, 0.5: 500_000, 0.99: 990_000, 0.999: 1_000_000} {
		if got := float64(h.quantile(q)); math.Abs(got-want) > want/20 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for _, v := range []uint64{0, 1, 15, 16, 17, 31, 32, 1 << 40, math.MaxInt64} {
		i := bucketOf(v)
		if mid := middleOf(i); bucketOf(mid) != i || math.Abs(float64(mid)-float64(v)) > float64(v)/16 {
			t.Errorf("%d is in bucket %d, whose middle is %d", v, i, mid)
		}
	}
}
