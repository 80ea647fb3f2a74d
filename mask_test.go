package websocket

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// slowMask is section 5.3, one byte after the other. phase is in 0..3.
func slowMask(src []byte, key [4]byte, phase int) []byte {
	dst := make([]byte, len(src))
	for i, c := range src {
		dst[i] = c ^ key[(phase+i)%4]
	}
	return dst
}

// noise returns n bytes that differ from seed to seed.
func noise(n int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	return p
}

// checkMask masks size bytes at every alignment that counts, in place and
// into other memory, and looks at all of that memory.
func checkMask(t *testing.T, size, phase int, key [4]byte) {
	t.Helper()
	src := noise(size, uint64(size))
	masked := slowMask(src, key, phase)
	fresh, want := bytes.Repeat([]byte{0xC5}, size+48), make([]byte, size+48)
	buf, dst := make([]byte, len(fresh)), make([]byte, len(fresh))
	for off := range 16 {
		copy(buf, fresh)
		copy(buf[off:], src)
		copy(want, fresh)
		copy(want[off:], masked)

		if got := Mask(buf[off:off+size], key, phase); got != (phase+size)%4 {
			t.Fatalf("Mask of %d bytes at position %d returned %d", size, phase, got)
		}
		if !bytes.Equal(buf, want) {
			t.Fatalf("Mask of %d bytes at offset %d, position %d, key % x:\ngot  % x\nwant % x", size, off, phase, key, buf, want)
		}

		// The destination is aligned in another way than the source, and
		// longer.
		to := (off*5 + 3) % 16
		copy(buf[off:], src)
		copy(dst, fresh)
		maskCopy(dst[to:], buf[off:off+size], key, phase)
		copy(want, fresh)
		copy(want[off:], src)
		if !bytes.Equal(buf, want) {
			t.Fatalf("maskCopy of %d bytes at offset %d changed the source", size, off)
		}
		copy(want, fresh)
		copy(want[to:], masked)
		if !bytes.Equal(dst, want) {
			t.Fatalf("maskCopy of %d bytes from offset %d to %d, position %d, key % x:\ngot  % x\nwant % x", size, off, to, phase, key, dst, want)
		}
	}
}

func TestMask(t *testing.T) {
	for size := range 301 {
		for phase := range 4 {
			checkMask(t, size, phase, [4]byte{0x37, 0xfa, 0x21, 0x3d})
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		key := [4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}
		checkMask(t, rnd.IntN(2000), rnd.IntN(4), key)
	}
	checkMask(t, 70_000, 3, [4]byte{1, 2, 3, 4})
	checkMask(t, 100, 1, [4]byte{})
}

// Only the position modulo 4 counts, whatever the size of an int.
func TestMaskPosition(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	src := noise(77, 1)
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
	src := noise(90, 2)
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
	f.Fuzz(func(t *testing.T, src, k []byte, pos int) {
		var key [4]byte
		copy(key[:], k)
		want := slowMask(src, key, pos&3)
		dst := make([]byte, len(src))
		maskCopy(dst, src, key, pos)
		got := bytes.Clone(src)
		Mask(got, key, pos)
		if !bytes.Equal(got, want) || !bytes.Equal(dst, want) {
			t.Fatalf("position %d, key % x: in place % x, apart % x, want % x", pos, key, got, dst, want)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	for _, size := range []int{4, 16, 125, 1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				Mask(p, [4]byte{1, 2, 3, 4}, 1)
			}
		})
	}
}
