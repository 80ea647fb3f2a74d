package flate

import (
	"encoding/binary"
	"math/bits"
)

// The ways to find matches.
const (
	findFast  = iota // takes the last place with the same hash
	findPair         // takes the better of the last two places, or a match at the next byte
	findChain        // takes the best of many places, or a match at the next byte
)

type levelParams struct {
	find  uint8
	step  uint8 // every step-th byte of a match is put into the index
	lazy  int   // a match shorter than this gives way to a better one at the next byte
	nice  int   // a match of this length ends the search
	depth int   // places looked at by findChain
}

var levels = [10]levelParams{
	1: {find: findFast},
	2: {find: findPair, step: 2},
	3: {find: findPair, step: 2, lazy: 6},
	4: {find: findPair, step: 2, lazy: 16},
	5: {find: findPair, step: 1, lazy: 32},
	6: {find: findPair, step: 1, lazy: 258},
	7: {find: findChain, step: 1, lazy: 32, nice: 64, depth: 12},
	8: {find: findChain, step: 1, lazy: 128, nice: 128, depth: 48},
	9: {find: findChain, step: 1, lazy: 258, nice: 258, depth: 512},
}

// hashed is the number of bytes in a hash, and so the least length of a match.
const hashed = 4

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i : i+4]) }
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// at returns the position of buf[i].
func at(base uint32, i int) uint16 { return uint16(base + uint32(i)) }

func hash4(v uint32, shift uint8) uint32 { return v * 0x9e3779b1 >> (shift & 31) }

// matchLen returns how many bytes at buf[i:] and buf[j:], where j < i, are the
// same, up to maxMatch; the first 4 are known to be.
func matchLen(buf []byte, i, j int) int {
	a := buf[i:min(len(buf), i+maxMatch)]
	b := buf[j:][:len(a)]
	n := 4
	for ; n+8 <= len(a); n += 8 {
		if x := load64(a, n) ^ load64(b, n); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}

// findFast skips more and more bytes while it finds no match.
func (t *past) findFast(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	shift := 32 - t.indexBits
	index := t.index[:1<<t.indexBits]
	start := i - w.lits // of the literals that no match follows yet
	last := min(stop, len(buf)-hashed+1)
	for i < last {
		v := load32(buf, i)
		h := hash4(v, shift)
		pos := at(base, i)
		d := int(pos - index[h])
		index[h] = pos
		if uint(d-1) >= uint(min(i, window)) || load32(buf, i-d) != v {
			w.lit.freq[byte(v)]++
			i++
			if skip := (i - start) >> 5; skip > 0 {
				skip = min(skip, stop-i)
				w.count(buf[i:][:skip])
				i += skip
			}
			continue
		}
		n := matchLen(buf, i, i-d)
		for i > start && i-d > 0 && n < maxMatch && buf[i-1] == buf[i-d-1] {
			i--
			n++
			w.lit.freq[buf[i]]--
		}
		w.match(i-start, n, d)
		i += n
		start = i
		if i-2 < last {
			index[hash4(load32(buf, i-2), shift)] = at(base, i-2)
		}
	}
	if i < stop {
		w.count(buf[i:stop])
		i = stop
	}
	w.lits = i - start
	return i
}

// better reports whether a match of length n at distance d saves more than a match of
// length m at distance e that begins a byte before.
func better(n, d, m, e int) bool {
	return 4*(n-m)-bits.Len(uint(d))+bits.Len(uint(e)) > 2
}

func (t *past) findPair(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	shift := 33 - t.indexBits
	pairs := t.pairs[:1<<t.indexBits/2]
	lazy, step := t.params.lazy, int(t.params.step)
	start := i - w.lits
	last := min(stop, len(buf)-hashed+1)
	var n, d int // the match at i-1, if n > 0
	for i < last {
		v := load32(buf, i)
		pair := &pairs[hash4(v, shift)]
		pos := at(base, i)
		p0, p1 := uint16(*pair), uint16(*pair>>16)
		*pair = *pair<<16 | uint32(pos)

		var m, e int
		reach := uint(min(i, window))
		if c := int(pos - p0); uint(c-1) < reach && load32(buf, i-c) == v {
			m, e = matchLen(buf, i, i-c), c
		}
		if c := int(pos - p1); uint(c-1) < reach && load32(buf, i-c) == v {
			if l := matchLen(buf, i, i-c); l > m {
				m, e = l, c
			}
		}

		switch {
		case n == 0 && m == 0:
			w.lit.freq[byte(v)]++
			i++
			if skip := (i - start) >> 6; skip > 0 {
				skip = min(skip, stop-i)
				w.count(buf[i:][:skip])
				i += skip
			}
			continue
		case n == 0 || m > 0 && better(m, e, n, d):
			if n > 0 {
				w.lit.freq[buf[i-1]]++
			}
			n, d = m, e
			i++
			if n < lazy {
				continue
			}
		}
		// The match at i-1 is taken.
		i--
		w.match(i-start, n, d)
		end := i + n
		start = end
		i += 2
		for to := min(end, len(buf)-hashed+1); i < to; i += step {
			pair := &pairs[hash4(load32(buf, i), shift)]
			*pair = *pair<<16 | uint32(at(base, i))
		}
		i = end
		n = 0
	}
	if n > 0 {
		i--
		w.match(i-start, n, d)
		i += n
		start = i
	}
	if i < stop {
		w.count(buf[i:stop])
		i = stop
	}
	w.lits = i - start
	return i
}

func (t *past) findChain(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	shift := 32 - t.indexBits
	index, prev := t.index[:1<<t.indexBits], t.prev[:window]
	lazy, nice := t.params.lazy, t.params.nice
	start := i - w.lits
	last := min(stop, len(buf)-hashed+1)
	var n, d int // the match at i-1, if n > 0
	for i < last {
		v := load32(buf, i)
		h := hash4(v, shift)
		pos := at(base, i)
		next := index[h]
		index[h], prev[int(pos)&(window-1)] = pos, next

		m, e := 0, 0
		reach := min(i, window)
		c := 0
		for range t.params.depth {
			f := int(pos - next)
			if f <= c || f > reach {
				break
			}
			c = f
			if load32(buf, i-c) == v {
				if m == 0 || i+m < len(buf) && buf[i+m] == buf[i-c+m] {
					if l := matchLen(buf, i, i-c); l > m {
						m, e = l, c
						if m >= nice {
							break
						}
					}
				}
			}
			next = prev[int(next)&(window-1)]
		}

		switch {
		case n == 0 && m == 0:
			w.lit.freq[byte(v)]++
			i++
			if skip := (i - start) >> 8; skip > 0 {
				skip = min(skip, stop-i)
				w.count(buf[i:][:skip])
				i += skip
			}
			continue
		case n == 0 || m > 0 && better(m, e, n, d):
			if n > 0 {
				w.lit.freq[buf[i-1]]++
			}
			n, d = m, e
			i++
			if n < lazy {
				continue
			}
		}
		i--
		w.match(i-start, n, d)
		end := i + n
		start = end
		i += 2
		for to := min(end, len(buf)-hashed+1); i < to; i++ {
			h := hash4(load32(buf, i), shift)
			pos := at(base, i)
			index[h], prev[int(pos)&(window-1)] = pos, index[h]
		}
		i = end
		n = 0
	}
	if n > 0 {
		i--
		w.match(i-start, n, d)
		i += n
		start = i
	}
	if i < stop {
		w.count(buf[i:stop])
		i = stop
	}
	w.lits = i - start
	return i
}
