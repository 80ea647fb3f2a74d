package websocket

import (
	"encoding/binary"
	"math/bits"
)

// xorWords is xorLong in Go: 64-bit words, four at a time. It is compiled
// everywhere, so that the tests can run it everywhere.
func xorWords(dst, src []byte, k uint64) {
	le := binary.LittleEndian
	n := len(src)
	dst = dst[:n]

	// The last 32 bytes overlap those of the loop, so they are loaded before the loop
	// and stored after it.
	end := bits.RotateLeft64(k, -8*n)
	tail := src[n-32:]
	e0 := le.Uint64(tail[0:]) ^ end
	e1 := le.Uint64(tail[8:]) ^ end
	e2 := le.Uint64(tail[16:]) ^ end
	e3 := le.Uint64(tail[24:]) ^ end
	last := dst[n-32:]

	for len(src) > 32 {
		s, d := src[:32], dst[:32]
		w0 := le.Uint64(s[0:]) ^ k
		w1 := le.Uint64(s[8:]) ^ k
		w2 := le.Uint64(s[16:]) ^ k
		w3 := le.Uint64(s[24:]) ^ k
		le.PutUint64(d[0:], w0)
		le.PutUint64(d[8:], w1)
		le.PutUint64(d[16:], w2)
		le.PutUint64(d[24:], w3)
		src, dst = src[32:], dst[32:]
	}
	le.PutUint64(last[0:], e0)
	le.PutUint64(last[8:], e1)
	le.PutUint64(last[16:], e2)
	le.PutUint64(last[24:], e3)
}
