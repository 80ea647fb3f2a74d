//go:build !purego && !race

package websocket

// xorLong masks src to dst, whose lengths are equal and more than shortMask. k is
// the key, twice, rotated to the first byte. Under the race detector, which does
// not see what assembly does, xorWords does the work.
func xorLong(dst, src []byte, k uint64) { xorNEON(&dst[0], &src[0], len(src), k) }

// xorNEON takes n > shortMask bytes. Every arm64 processor that Go runs on
// has these instructions.
//
//go:noescape
func xorNEON(dst, src *byte, n int, k uint64)
