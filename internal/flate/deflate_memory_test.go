package flate

import (
	"runtime"
	"testing"
	"unsafe"
)

func TestEncodeAllocs(t *testing.T) {
	if encodeRaced {
		t.Skip("pools drop items")
	}
	messages := jsonCorpus(1024, 16)
	dst := make([]byte, 0, 4096)
	for _, takeover := range []bool{false, true} {
		for level := 1; level <= 9; level++ {
			e := NewEncoder(level, 12, takeover)
			i := 0
			n := testing.AllocsPerRun(400, func() {
				p := messages[i%len(messages)]
				i++
				e.Encode(dst, p, true)
				e.Encode(dst, p[:300], false)
				e.Encode(dst, p[300:], true)
				e.Undo()
			})
			// A collection empties the pools.
			if n >= 1 {
				t.Errorf("level %d, takeover %v: %v allocations", level, takeover, n)
			}
		}
	}
}

func TestEncoderMemory(t *testing.T) {
	if encodeRaced {
		t.Skip("the race detector needs memory of its own")
	}
	if n := unsafe.Sizeof(Encoder{}); n > 32 {
		t.Errorf("an Encoder is %d bytes", n)
	}
	for _, c := range []struct{ level, windowBits, most int }{
		{DefaultLevel, 8, 2 << 10},
		{DefaultLevel, 10, 4 << 10},
		{DefaultLevel, 12, 12 << 10},
		{DefaultLevel, 15, 56<<10 + 256},
		{9, 12, 20 << 10},
		{9, 15, 144 << 10},
		{1, 12, 12 << 10},
	} {
		promised := EncoderMemory(c.level, c.windowBits)
		if promised > c.most {
			t.Errorf("level %d, window bits %d: %d bytes, at most %d are allowed", c.level, c.windowBits, promised, c.most)
		}
		p := randomCorpus(2<<c.windowBits, 1)
		encoders := make([]*Encoder, 200)
		dst := make([]byte, 0, len(p)+100)
		NewEncoder(c.level, c.windowBits, true).Encode(dst, p, true)
		before := heapInUse()
		for i := range encoders {
			encoders[i] = NewEncoder(c.level, c.windowBits, true)
			encoders[i].Encode(dst, p, true)
		}
		got := int(heapInUse()-before) / len(encoders)
		if got > promised+promised/8 {
			t.Errorf("level %d, window bits %d: an encoder keeps %d bytes, EncoderMemory says %d", c.level, c.windowBits, got, promised)
		}
		if got < promised/2 {
			t.Errorf("level %d, window bits %d: an encoder keeps only %d bytes, EncoderMemory says %d", c.level, c.windowBits, got, promised)
		}
		runtime.KeepAlive(encoders)
	}

	// Without takeover nothing is kept.
	encoders := make([]*Encoder, 200)
	before := heapInUse()
	p := textCorpus(70000)
	dst := make([]byte, 0, 80000)
	for i := range encoders {
		encoders[i] = NewEncoder(9, 15, false)
		encoders[i].Encode(dst, p, i%2 == 0)
		encoders[i].Encode(dst, p, true)
	}
	if got := int(heapInUse()-before) / len(encoders); got > 100 {
		t.Errorf("an encoder without takeover keeps %d bytes", got)
	}
	runtime.KeepAlive(encoders)
}

// heapInUse returns how many bytes of heap are in use, not counting what pools
// hold: they lose it in two collections.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
