package flate

import (
	"testing"
)

// checkFinder has the match finder of a level find the sequences of a block, and
// checks that they stand for the bytes of src and that all their symbols are counted.
func checkFinder(t *testing.T, level, windowBits int, takeover bool, src []byte) {
	t.Helper()
	h := &history{base: 1}
	if takeover {
		h = newHistory(&kept[level], windowBits)
	} else {
		h.reuse(&pooled[level], windowBits, len(src))
	}
	w := new(blockWriter)
	for i := 0; i < len(src); {
		next := h.find(w, src, h.base, i)
		if next <= i {
			t.Fatalf("level %d, window bits %d, takeover %v: stays at %d", level, windowBits, takeover, i)
		}
		i = next
	}
	var lit [numLitLen]uint16
	var dist [32]uint16
	i, extra := 0, 0
	for n, s := range w.seqs[:w.nseqs] {
		for _, c := range src[i:][:s.lits] {
			lit[c]++
		}
		i += int(s.lits)
		length, d := int(s.length)+minMatch, int(s.dist)+1
		if length < hashed || d > i || d > 1<<windowBits {
			t.Fatalf("level %d, window bits %d, takeover %v: sequence %d at %d has length %d, distance %d",
				level, windowBits, takeover, n, i, length, d)
		}
		for k := range length {
			if src[i+k] != src[i+k-d] {
				t.Fatalf("level %d, window bits %d, takeover %v: sequence %d at %d of length %d, distance %d, byte %d is another",
					level, windowBits, takeover, n, i, length, d, k)
			}
		}
		i += length
		info := lengthInfo[s.length]
		lit[257+int(info.sym)]++
		dist[s.distSym]++
		extra += int(info.nextra + distExtra[s.distSym])
	}
	if i+w.lits != len(src) {
		t.Fatalf("level %d, window bits %d, takeover %v: sequences of %d bytes and %d literals, want %d bytes",
			level, windowBits, takeover, i, w.lits, len(src))
	}
	for _, c := range src[i:] {
		lit[c]++
	}
	if lit != w.lit.freq || [numDist]uint16(dist[:numDist]) != [numDist]uint16(w.dist.freq[:numDist]) || extra != w.extra {
		t.Errorf("level %d, window bits %d, takeover %v: frequencies are not those of the sequences", level, windowBits, takeover)
	}
}

func TestFinders(t *testing.T) {
	for _, c := range append(smallCorpora(), largeCorpora()...) {
		for level := 1; level <= 9; level++ {
			for _, windowBits := range []int{8, 11, 15} {
				for _, takeover := range []bool{false, true} {
					checkFinder(t, level, windowBits, takeover, c.data[:min(len(c.data), maxSymbols)])
				}
			}
		}
	}
}

func FuzzFinder(f *testing.F) {
	for i, c := range smallCorpora() {
		f.Add(c.data, uint8(i), uint8(i*3), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, level, windowBits uint8, takeover bool) {
		if len(data) > maxSymbols {
			t.Skip()
		}
		checkFinder(t, 1+int(level%9), MinWindowBits+int(windowBits%8), takeover, data)
	})
}

// FuzzLongest compares longest with a search that is easy to understand.
func FuzzLongest(f *testing.F) {
	f.Add([]byte("abcdefgh abcdefgi abcdxxxx abcdefgh"), uint16(27), uint64(1)|10<<16|19<<32, uint16(1), uint16(40), uint8(0))
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaa"), uint16(4), uint64(0x0000000100020003), uint16(0), uint16(3), uint8(9))
	f.Add([]byte("abcdabcd"), uint16(4), uint64(0xfffe)<<32, uint16(0xfffe), uint16(4), uint8(0))
	// Near the end fewer than 8 bytes can be compared at once.
	f.Add([]byte("abcdef--abcdef"), uint16(7), uint64(0), uint16(0), uint16(7), uint8(0))
	f.Add([]byte("abcd\x00\x00--abcd"), uint16(7), uint64(0), uint16(0), uint16(7), uint8(0))
	f.Fuzz(func(t *testing.T, buf []byte, at16 uint16, bucket uint64, base, reach16 uint16, shorter uint8) {
		if len(buf) < 5 || len(buf) > 1<<15 {
			t.Skip()
		}
		i := 1 + int(at16)%(len(buf)-hashed)
		reach := 1 + int(reach16)%i
		m := int(shorter) % 40
		if m < hashed {
			m = 0
		}
		if i+m > len(buf) {
			t.Skip()
		}
		pos := at(uint32(base), i)
		want := m
		for k := range 4 {
			d := int(pos - uint16(bucket>>(16*k)))
			if d != 0 && d <= reach && load32(buf, i) == load32(buf, i-d) {
				want = max(want, matchLen(buf, i, i-d))
			}
		}
		length, d := longest(buf, peek64(buf, i), i, pos, bucket, reach, m, -1)
		if length != want {
			t.Fatalf("at %d, bucket %x, reach %d: length %d, want %d", i, bucket, reach, length, want)
		}
		if length == m {
			if d != -1 {
				t.Fatalf("at %d: distance %d though nothing is longer than %d", i, d, m)
			}
			return
		}
		if d < 1 || d > reach || matchLen(buf, i, i-d) != length {
			t.Fatalf("at %d: length %d, distance %d of %d", i, length, d, reach)
		}
	})
}

func TestPeek64(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for i, want := range map[int]uint64{0: 0x0807060504030201, 1: 0x0908070605040302, 2: 0x06050403, 5: 0x09080706} {
		if got := peek64(b, i); got != want {
			t.Errorf("at %d: %x, want %x", i, got, want)
		}
	}
}
