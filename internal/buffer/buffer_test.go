package buffer

import "testing"

func TestBuffer(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 511, 512, 513, 4096, 4097, 1 << 20, 1<<20 + 1, 5 << 20} {
		b := Get(n)
		if b.Len() != 0 || cap(b.B) < n || cap(b.B) > max(2*n, 512) {
			t.Errorf("Get(%d): %d of %d bytes", n, b.Len(), cap(b.B))
		}
		b.B = append(b.B, "abc"...)
		if b = b.WithRoom(n + 10); string(b.B) != "abc" || cap(b.B)-b.Len() < n+10 {
			t.Errorf("WithRoom(%d): %q in %d bytes", n+10, b.B, cap(b.B))
		}
		same := b
		if b = b.WithRoom(1); b != same {
			t.Error("WithRoom has replaced a buffer that has room")
		}
		if b = b.OrLarger(cap(b.B)); b != same {
			t.Error("OrLarger has replaced a buffer that is large enough")
		}
		if b = b.OrLarger(cap(b.B) + 1); b == same || b.Len() != 0 {
			t.Errorf("OrLarger: %d bytes", b.Len())
		}
		Put(b)
	}
	var none *Buffer
	Put(none)
	if none.Len() != 0 || cap(none.WithRoom(7).B) < 7 || cap(none.OrLarger(7).B) < 7 {
		t.Error("a nil buffer")
	}
}

// A buffer that is not of the pool's sizes does not get into it.
func TestForeignBuffer(t *testing.T) {
	for _, size := range []int{0, 1, 100, 511, 513, 700, 1000, 4095, 1<<20 + 1} {
		Put(&Buffer{B: make([]byte, size)})
	}
	for n := 512; n <= 1<<20; n *= 2 {
		if b := Get(n); b.Len() != 0 || cap(b.B) != n {
			t.Errorf("Get(%d): %d of %d bytes", n, b.Len(), cap(b.B))
		}
	}
}
