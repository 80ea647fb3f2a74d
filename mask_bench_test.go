package websocket

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The sizes are those of control frames, small and large messages; the last
// is beyond a processor's own caches.
var maskSizes = []int{4, 16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20}

func BenchmarkMask(b *testing.B) {
	key := [4]byte{1, 2, 3, 4}
	for _, size := range maskSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for range b.N {
				Mask(p, key, 1)
			}
		})
	}
	// Sizes that no branch predictor can know, each at its own alignment.
	b.Run("size=mixed", func(b *testing.B) {
		rnd := rand.New(rand.NewPCG(1, 2))
		var messages [4096][]byte
		memory := make([]byte, 32<<10)
		sum := 0
		for i := range messages {
			from, size := rnd.IntN(len(memory)-256), rnd.IntN(256)
			messages[i] = memory[from : from+size]
			sum += size
		}
		b.SetBytes(int64(sum / len(messages)))
		for i := range b.N {
			Mask(messages[i%len(messages)], key, 1)
		}
	})
}

func BenchmarkMaskCopy(b *testing.B) {
	key := [4]byte{1, 2, 3, 4}
	for _, size := range maskSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			dst, src := make([]byte, size), make([]byte, size)
			b.SetBytes(int64(size))
			for range b.N {
				maskCopy(dst, src, key, 1)
			}
		})
	}
}

// BenchmarkMaskMemcpy is the limit for BenchmarkMaskCopy.
func BenchmarkMaskMemcpy(b *testing.B) {
	for _, size := range maskSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			dst, src := make([]byte, size), make([]byte, size)
			b.SetBytes(int64(size))
			for range b.N {
				copy(dst, src)
			}
		})
	}
}
