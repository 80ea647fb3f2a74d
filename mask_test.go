package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// slowMask is section 5.3, one byte after the other. phase is in 0..3.
func slowMask(src []byte, key [4]byte, phase int) []byte {
	dst := make([]byte, len(src))
	for i, c := range src {
		dst[i] = c ^ key[(phase+i)%4]
	}
	return dst
}

// maskFunc is maskCopy, or what maskCopy would be with another xorLong.
type maskFunc func(dst, src []byte, key [4]byte, pos int)

// maskFuncs is what there is on this machine, not only what it chooses.
func maskFuncs() map[string]maskFunc {
	funcs := map[string]maskFunc{"maskCopy": maskCopy}
	for name, long := range longMasks() {
		funcs[name] = func(dst, src []byte, key [4]byte, pos int) {
			if len(src) <= shortMask {
				maskCopy(dst, src, key, pos)
				return
			}
			k := uint64(bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*pos))
			long(dst[:len(src)], src, k<<32|k)
		}
	}
	return funcs
}

// checkMask masks size bytes at every alignment that counts, in place and
// into other memory, and looks at all of that memory.
func checkMask(t *testing.T, mask maskFunc, size, phase int, key [4]byte) {
	t.Helper()
	src := wstest.Noise(size, uint64(size))
	masked := slowMask(src, key, phase)
	fresh, want := bytes.Repeat([]byte{0xC5}, size+192), make([]byte, size+192)
	buf, dst := make([]byte, len(fresh)), make([]byte, len(fresh))
	for off := range 64 {
		from := 64 + off
		copy(buf, fresh)
		copy(buf[from:], src)
		copy(want, fresh)
		copy(want[from:], masked)
		mask(buf[from:from+size], buf[from:from+size], key, phase)
		if !bytes.Equal(buf, want) {
			t.Fatalf("%d bytes at offset %d, position %d, key % x:\ngot  % x\nwant % x", size, off, phase, key, buf, want)
		}

		// The destination is aligned in another way than the source, and
		// longer.
		to := 64 + (off*5+3)%64
		copy(buf[from:], src)
		copy(dst, fresh)
		mask(dst[to:], buf[from:from+size], key, phase)
		copy(want[from:], src)
		if !bytes.Equal(buf, want) {
			t.Fatalf("copying %d bytes from offset %d changed the source", size, off)
		}
		copy(want, fresh)
		copy(want[to:], masked)
		if !bytes.Equal(dst, want) {
			t.Fatalf("copying %d bytes from offset %d to %d, position %d, key % x:\ngot  % x\nwant % x", size, off, to-64, phase, key, dst, want)
		}
	}
}

func TestMask(t *testing.T) {
	for name, mask := range maskFuncs() {
		t.Run(name, func(t *testing.T) {
			for size := range 301 {
				for phase := range 4 {
					checkMask(t, mask, size, phase, [4]byte{0x37, 0xfa, 0x21, 0x3d})
				}
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			for range 100 {
				key := [4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}
				checkMask(t, mask, rnd.IntN(2000), rnd.IntN(4), key)
			}
			checkMask(t, mask, 70_000, 3, [4]byte{1, 2, 3, 4})
			checkMask(t, mask, 100, 1, [4]byte{})
		})
	}
}

// A destination that is too short is a mistake of ours, not a reason to write
// into other memory.
func TestMaskCopyTooShort(t *testing.T) {
	for _, size := range []int{1, 7, 16, 30, 64, 65, 128, 1000} {
		func() {
			dst := make([]byte, size)
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes masked into %d", size, size-1)
				}
				if !bytes.Equal(dst, make([]byte, size)) {
					t.Errorf("%d bytes: the destination was written", size)
				}
			}()
			maskCopy(dst[:size-1:size-1], wstest.Noise(size, 1), [4]byte{1, 2, 3, 4}, 0)
		}()
	}
}

func TestMaskAllocates(t *testing.T) {
	for _, size := range []int{0, 16, 125, 1000} {
		dst, src := make([]byte, size), make([]byte, size)
		if n := testing.AllocsPerRun(100, func() {
			var onStack [300]byte
			Mask(onStack[:size%300], [4]byte{1, 2, 3, 4}, 1)
			Mask(src, [4]byte{1, 2, 3, 4}, 1)
			maskCopy(dst, src, [4]byte{1, 2, 3, 4}, 1)
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

// Only the position modulo 4 counts, whatever the size of an int.
func TestMaskPosition(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	src := wstest.Noise(77, 1)
	for _, base := range []int{0, 4, 1 << 20, math.MaxInt32 &^ 3, math.MaxInt - 7, -4, -1 << 20, math.MinInt} {
		for phase := range 4 {
			for size := range len(src) {
				got := bytes.Clone(src[:size])
				if next := Mask(got, key, base+phase); next != (phase+size)%4 {
					t.Fatalf("Mask of %d bytes at position %d returned %d, want %d", size, base+phase, next, (phase+size)%4)
				}
				if !bytes.Equal(got, slowMask(src[:size], key, phase)) {
					t.Fatalf("Mask of %d bytes at position %d is wrong", size, base+phase)
				}
			}
		}
	}
}

func TestMaskInPieces(t *testing.T) {
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	src := wstest.Noise(90, 2)
	want := bytes.Clone(src)
	Mask(want, key, 0)
	for i := range len(src) + 1 {
		for j := i; j <= len(src); j++ {
			got := bytes.Clone(src)
			pos := Mask(got[:i], key, 0)
			pos = Mask(got[i:j], key, pos)
			Mask(got[j:], key, pos)
			if !bytes.Equal(got, want) {
				t.Fatalf("masked in pieces that end at %d and %d:\ngot  % x\nwant % x", i, j, got, want)
			}
		}
	}
	got := bytes.Clone(src)
	for i, pos := 0, 0; i < len(got); i++ {
		pos = Mask(got[i:i+1], key, pos)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("masked byte by byte differs from masked at once")
	}
	if Mask(got, key, 0); !bytes.Equal(got, src) {
		t.Fatal("masking twice is not the identity")
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello, world"), []byte{1, 2, 3, 4}, 1)
	f.Add(bytes.Repeat([]byte("Hello, world"), 30), []byte{1, 2, 3, 4}, 2)
	funcs := maskFuncs()
	f.Fuzz(func(t *testing.T, src, k []byte, pos int) {
		var key [4]byte
		copy(key[:], k)
		want := slowMask(src, key, pos&3)
		for name, mask := range funcs {
			dst := make([]byte, len(src))
			mask(dst, src, key, pos)
			got := bytes.Clone(src)
			mask(got, got, key, pos)
			if !bytes.Equal(got, want) || !bytes.Equal(dst, want) {
				t.Fatalf("%s: position %d, key % x: in place % x, apart % x, want % x", name, pos, key, got, dst, want)
			}
		}
	})
}

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
