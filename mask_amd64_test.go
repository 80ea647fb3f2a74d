//go:build !purego && !race

package websocket

// longMasks is every xorLong that this machine can run.
func longMasks() map[string]func(dst, src []byte, k uint64) {
	masks := map[string]func(dst, src []byte, k uint64){
		"words": xorWords,
		"SSE2":  func(dst, src []byte, k uint64) { xorSSE2(&dst[0], &src[0], len(src), k) },
	}
	without := func(avx2, avx512 bool) func(dst, src []byte, k uint64) {
		return func(dst, src []byte, k uint64) {
			old2, old512 := useAVX2, useAVX512
			defer func() { useAVX2, useAVX512 = old2, old512 }()
			useAVX2, useAVX512 = avx2, avx512
			xorLong(dst, src, k)
		}
	}
	masks["no AVX2"] = without(false, false)
	if useAVX2 {
		masks["AVX2"] = without(true, false)
	}
	if useAVX512 {
		masks["AVX-512"] = without(true, true)
	}
	return masks
}
