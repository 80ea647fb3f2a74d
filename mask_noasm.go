//go:build !(amd64 || arm64) || purego || race

package websocket

// xorLong masks src to dst, whose lengths are equal and more than shortMask. k is
// the key, twice, rotated to the first byte.
func xorLong(dst, src []byte, k uint64) { xorWords(dst, src, k) }
