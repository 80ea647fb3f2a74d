package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
)

// Mask masks b in place with key, or unmasks it, which is the same operation
// (RFC 6455, section 5.3). pos is the position of b's first byte in the
// frame's payload, so that a payload can be masked piece by piece; Mask
// returns the position that follows b, reduced modulo 4.
func Mask(b []byte, key [4]byte, pos int) int {
	xorKey(b, b, bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*pos))
	return (pos + len(b)) & 3
}

// maskCopy writes the masked src to dst, which is at least as long and either the
// same memory or does not overlap it.
func maskCopy(dst, src []byte, key [4]byte, pos int) {
	xorKey(dst, src, bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*pos))
}

// shortMask is the largest size that is masked without a call to xorLong.
const shortMask = 64

// xorKey does the work of Mask and maskCopy. They are small enough to be inlined,
// so key comes in a register, as a little-endian word rotated to the first byte.
//
// A short input is read as a few words from its beginning and as many up to its
// end. They overlap in the middle, so all are loaded before the first is stored:
// src may be dst, and no byte may be masked twice. A word with the key twice can be
// rotated by any number of bytes; only the number modulo 4 counts.
func xorKey(dst, src []byte, key uint32) {
	n := len(src)
	dst = dst[:n]
	k := uint64(key)<<32 | uint64(key)
	le := binary.LittleEndian
	if n <= 16 {
		end := bits.RotateLeft64(k, -8*n) // for a word that ends with the input
		switch {
		case n >= 8:
			w0 := le.Uint64(src) ^ k
			w1 := le.Uint64(src[n-8:]) ^ end
			le.PutUint64(dst, w0)
			le.PutUint64(dst[n-8:], w1)
		case n >= 4:
			w0 := le.Uint32(src) ^ uint32(k)
			w1 := le.Uint32(src[n-4:]) ^ uint32(end)
			le.PutUint32(dst, w0)
			le.PutUint32(dst[n-4:], w1)
		default:
			for i, c := range src {
				dst[i] = c ^ byte(k)
				k >>= 8
			}
		}
		return
	}
	if n > shortMask {
		xorLong(dst, src, k)
		return
	}
	end := bits.RotateLeft64(k, -8*n)
	if n > 32 {
		w0 := le.Uint64(src) ^ k
		w1 := le.Uint64(src[8:]) ^ k
		w2 := le.Uint64(src[16:]) ^ k
		w3 := le.Uint64(src[24:]) ^ k
		w4 := le.Uint64(src[n-32:]) ^ end
		w5 := le.Uint64(src[n-24:]) ^ end
		w6 := le.Uint64(src[n-16:]) ^ end
		w7 := le.Uint64(src[n-8:]) ^ end
		le.PutUint64(dst, w0)
		le.PutUint64(dst[8:], w1)
		le.PutUint64(dst[16:], w2)
		le.PutUint64(dst[24:], w3)
		le.PutUint64(dst[n-32:], w4)
		le.PutUint64(dst[n-24:], w5)
		le.PutUint64(dst[n-16:], w6)
		le.PutUint64(dst[n-8:], w7)
	} else {
		w0 := le.Uint64(src) ^ k
		w1 := le.Uint64(src[8:]) ^ k
		w2 := le.Uint64(src[n-16:]) ^ end
		w3 := le.Uint64(src[n-8:]) ^ end
		le.PutUint64(dst, w0)
		le.PutUint64(dst[8:], w1)
		le.PutUint64(dst[n-16:], w2)
		le.PutUint64(dst[n-8:], w3)
	}
}

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

// keyBlock holds random bytes not yet used. Section 5.3: "The masking key
// needs to be unpredictable".
type keyBlock struct {
	b    [1024]byte
	used int
}

var keyBlocks = sync.Pool{New: func() any { return &keyBlock{used: math.MaxInt} }}

// newMaskKey returns a key from the system's secure random source. It reads many
// keys at a time.
func newMaskKey() (key [4]byte) {
	k := keyBlocks.Get().(*keyBlock)
	if k.used >= len(k.b) {
		rand.Read(k.b[:]) // never fails
		k.used = 0
	}
	key = [4]byte(k.b[k.used:])
	k.used += len(key)
	keyBlocks.Put(k)
	return key
}
