//go:build !purego && !race

package websocket

import "golang.org/x/sys/cpu"

// The instructions that xorVector may use. The first processors with AVX-512 slow
// down when they use it; those with VBMI2 do not, or hardly.
var (
	useAVX2   = cpu.X86.HasAVX2
	useAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VBMI2
)

// xorLong masks src to dst, whose lengths are equal and more than shortMask. k is
// the key, twice, rotated to the first byte. Under the race detector, which does
// not see what assembly does, xorWords does the work.
func xorLong(dst, src []byte, k uint64) { xorVector(&dst[0], &src[0], len(src), k) }

// xorVector takes n > shortMask bytes.
//
//go:noescape
func xorVector(dst, src *byte, n int, k uint64)

// xorSSE2 is xorVector for processors without AVX2.
//
//go:noescape
func xorSSE2(dst, src *byte, n int, k uint64)
