//go:build !race

// Under the race detector sync.Pool drops items on purpose.

package flate

import (
	"runtime/debug"
	"testing"
)

func TestInflateAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
	out := make([]byte, 0, 2048)
	for name, data := range inflateCorpora(1024) {
		payload := newInflateDeflater(6).message(data)
		for _, takeover := range []bool{false, true} {
			d := NewDecoder(MaxWindowBits, takeover)
			allocs := testing.AllocsPerRun(100, func() {
				got, _, err := d.Decode(out, 0, payload, true)
				if err != nil || len(got) != len(data) {
					t.Fatal(err)
				}
			})
			if allocs > 0 {
				t.Errorf("%s, takeover %v: %v allocations for a message", name, takeover, allocs)
			}
		}
	}
}
