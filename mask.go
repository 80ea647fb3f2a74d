package websocket

import "encoding/binary"

// Mask masks b in place with key, or unmasks it, which is the same operation
// (RFC 6455, section 5.3). pos is the position of b's first byte in the
// frame's payload, so that a payload can be masked piece by piece; Mask
// returns the position that follows b, reduced modulo 4.
func Mask(b []byte, key [4]byte, pos int) int {
	maskCopy(b, b, key, pos)
	return (pos + len(b)) & 3
}

// maskCopy writes the masked src to dst, which is at least as long and
// either the same memory or apart from it.
func maskCopy(dst, src []byte, key [4]byte, pos int) {
	dst = dst[:len(src)]
	k := binary.LittleEndian.Uint32(key[:])
	if r := uint(pos&3) * 8; r != 0 {
		k = k>>r | k<<(32-r)
	}
	k64 := uint64(k)<<32 | uint64(k)
	for len(src) >= 32 {
		s, d := src[:32], dst[:32]
		a0 := binary.LittleEndian.Uint64(s[0:]) ^ k64
		a1 := binary.LittleEndian.Uint64(s[8:]) ^ k64
		a2 := binary.LittleEndian.Uint64(s[16:]) ^ k64
		a3 := binary.LittleEndian.Uint64(s[24:]) ^ k64
		binary.LittleEndian.PutUint64(d[0:], a0)
		binary.LittleEndian.PutUint64(d[8:], a1)
		binary.LittleEndian.PutUint64(d[16:], a2)
		binary.LittleEndian.PutUint64(d[24:], a3)
		src, dst = src[32:], dst[32:]
	}
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^k64)
		src, dst = src[8:], dst[8:]
	}
	for i, c := range src {
		dst[i] = c ^ byte(k)
		k = k>>8 | k<<24
	}
}
