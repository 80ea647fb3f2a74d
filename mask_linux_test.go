package websocket

import (
	"bytes"
	"os"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// guarded returns memory before and after which nothing can be read or
// written, a page on either side.
func guarded(t *testing.T) []byte {
	page := os.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	inner := mem[page : 2*page : 2*page]
	if err := syscall.Mprotect(inner, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{page - 1, 2 * page} {
		if !faults(func() { mem[at]++ }) {
			t.Fatalf("there is no guard at %d", at)
		}
	}
	return inner
}

// faults calls f and reports whether it touched memory that it must not.
func faults(f func()) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			_, fault = r.(interface{ Addr() uintptr })
			if !fault {
				panic(r)
			}
		}
	}()
	f()
	return false
}

// Nothing beyond the slices is read or written: they begin or end where the
// memory does.
func TestMaskGuardPages(t *testing.T) {
	src, dst := guarded(t), guarded(t)
	ends := func(mem []byte, n int, last bool) []byte {
		if last {
			return mem[len(mem)-n:]
		}
		return mem[:n]
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for name, mask := range maskFuncs() {
		t.Run(name, func(t *testing.T) {
			for size := range 1101 {
				input := wstest.Noise(size, uint64(size))
				want := slowMask(input, key, size%4)
				for at := range 4 {
					s, d := ends(src, size, at&1 != 0), ends(dst, size, at&2 != 0)
					copy(s, input)
					if faults(func() { mask(d, s, key, size) }) || !bytes.Equal(d, want) {
						t.Fatalf("%d bytes, apart, ends %02b: wrong, or beyond the memory", size, at)
					}
					if faults(func() { mask(s, s, key, size) }) || !bytes.Equal(s, want) {
						t.Fatalf("%d bytes, in place, ends %02b: wrong, or beyond the memory", size, at)
					}
				}
			}
		})
	}
}
