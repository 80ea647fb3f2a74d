package bench

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/gobwas/ws"
)

// maskers are the masking functions that are exported. Those of gorilla, coder,
// gws and nbio are not, and cannot be measured alone through what is: their
// cost is in BenchmarkRead and BenchmarkWrite. memcpy is the limit, and masks
// nothing.
//
// Each has a loop of its own, because a call through a variable would cost as
// much as masking a few bytes does.
var maskers = []struct {
	lib  string
	mask func(n int, dst, p []byte, key [4]byte) // masks p in place n times; dst is as long
}{
	{"ours", func(n int, _, p []byte, key [4]byte) {
		for range n {
			websocket.Mask(p, key, 0)
		}
	}},
	{"gobwas", func(n int, _, p []byte, key [4]byte) {
		for range n {
			ws.Cipher(p, key, 0)
		}
	}},
	{"memcpy", func(n int, dst, p []byte, _ [4]byte) {
		for range n {
			copy(dst, p)
		}
	}},
}

var maskKey = [4]byte{0x12, 0xed, 0x7f, 0x80}

// TestMask compares the maskers with the definition in RFC 6455, section 5.3.
func TestMask(t *testing.T) {
	for _, size := range sizes {
		want := payload(size)
		for i := range want {
			want[i] ^= maskKey[i%4]
		}
		for _, m := range maskers {
			p, dst := payload(size), make([]byte, size)
			m.mask(1, dst, p, maskKey)
			if m.lib == "memcpy" {
				if !bytes.Equal(dst, payload(size)) {
					t.Errorf("%s does not copy %d bytes", m.lib, size)
				}
			} else if !bytes.Equal(p, want) {
				t.Errorf("%s does not mask %d bytes", m.lib, size)
			}
		}
	}
}

// BenchmarkMask: an operation masks a payload in place.
func BenchmarkMask(b *testing.B) {
	for _, size := range sizes {
		for _, m := range maskers {
			b.Run(fmt.Sprintf("size=%d/lib=%s", size, m.lib), func(b *testing.B) {
				p, dst := payload(size), make([]byte, size)
				b.SetBytes(int64(size))
				b.ResetTimer()
				m.mask(b.N, dst, p, maskKey)
			})
		}
	}
}
