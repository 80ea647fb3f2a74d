//go:build !purego

package utf8

import "golang.org/x/sys/cpu"

var (
	hasVector = cpu.X86.HasAVX2

	// The first processors with AVX-512 slow down when it is used. They have no GFNI.
	hasAVX512 = cpu.X86.HasAVX512BW && cpu.X86.HasAVX512GFNI
)

// follows reports whether each byte of p but the first three, which it does
// not judge, may follow the three before it. p has at least bulkMin bytes.
func follows(p []byte) bool {
	if hasAVX512 && len(p) >= avx512Min {
		return followsAVX512(p)
	}
	return followsAVX2(p)
}

//go:noescape
func followsAVX2(p []byte) bool

// avx512Min is the least length for followsAVX512: three bytes and two blocks of 64.
const avx512Min = 3 + 128

//go:noescape
func followsAVX512(p []byte) bool
