package utf8

import (
	"syscall"
	"testing"
)

// No byte is read that does not belong to the text: it lies between pages
// that must not be touched, at the first and at the last of them.
func TestGuardPages(t *testing.T) {
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	for _, guard := range [][]byte{mem[:page], mem[2*page:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	mem = mem[page : 2*page]
	for name, text := range around {
		for size := range 450 {
			for _, p := range [][]byte{mem[:size], mem[page-size:]} {
				copy(p, text)
				want := canBecomeValid(p)
				for _, impl := range implementations {
					var v Validator
					if impl.write(&v, p) != want {
						t.Fatalf("%s: %d bytes of %s are misjudged", impl.name, size, name)
					}
				}
				Valid(p)
			}
		}
	}
}
