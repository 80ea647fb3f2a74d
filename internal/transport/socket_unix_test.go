//go:build unix && !ws_plain

package transport

import (
	"testing"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// TestAdapt: the size of reads follows what the peer sends at a time.
func TestAdapt(t *testing.T) {
	s := &socket{size: buffer.MinRead}
	for _, want := range []int32{8 << 10, 16 << 10, 32 << 10, 64 << 10, 64 << 10} {
		if s.adapt(int(s.size), int(s.size)); s.size != want {
			t.Errorf("after a full read: %d, want %d", s.size, want)
		}
	}
	for i := range 7 {
		if s.adapt(100, int(s.size)); s.size != 64<<10 {
			t.Errorf("after %d reads that bring little: %d", i+1, s.size)
		}
	}
	s.adapt(int(s.size)/8, int(s.size)) // brings enough
	for range 7 {
		s.adapt(100, int(s.size))
	}
	if s.size != 64<<10 {
		t.Errorf("reads that bring little are not in a row: %d", s.size)
	}
	if s.adapt(100, int(s.size)); s.size != 32<<10 {
		t.Errorf("after eight reads that bring little: %d", s.size)
	}
	for range 100 {
		s.adapt(1, int(s.size))
	}
	if s.size != buffer.MinRead {
		t.Errorf("after many: %d", s.size)
	}
}
