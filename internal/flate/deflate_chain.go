package flate

import "math/bits"

// findChain follows the links from each position to the one before with the same
// hash. It looks at the distance of the last match first.
func (t *history) findChain(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	shift := 32 - t.indexBits
	index, prev := t.index[:1<<t.indexBits], t.prev[:1<<t.linkBits]
	mask := len(prev) - 1
	lazy := t.lazy
	start := i - w.lits // of the literals that no match follows yet
	last := min(stop, len(buf)-hashed+1)
	var n, d int // the match at i-1, if n > 0
	for i < last {
		v := peek64(buf, i)
		h := hash4(uint32(v), shift)
		pos := at(base, i)
		next := index[h]
		index[h], prev[int(pos)&mask] = pos, next

		m, e := 0, 0
		reach := min(i, window)
		again := uint(t.repeat-1) < uint(reach) && load32(buf, i-t.repeat) == uint32(v)
		if again || int(pos-next-1) < reach {
			m, e = t.search(buf, v, i, pos, next, n, again)
		}

		switch {
		case n == 0 && m == 0:
			w.lit.freq[byte(v)]++
			i++
			if skip := (i - start) >> skipShift; skip > 0 {
				skip = min(skip, stop-i)
				w.count(buf[i:][:skip])
				i += skip
			}
			continue
		case n == 0 || m > 0 && better(m, e, n, d):
			if n > 0 {
				w.lit.freq[buf[i-1]]++
			} else if i > start {
				// It may begin earlier, at a position that is not in the index.
				k := w.extend(buf, start, i, m, e)
				i -= k
				m += k
			}
			n, d = m, e
			i++
			if n < lazy {
				continue
			}
			if l := run(buf, i, last); l > n {
				w.lit.freq[buf[i-1]]++
				n, d = l, 1
				i++
			}
		}
		// The match at i-1 is taken.
		i--
		w.match(i-start, n, d)
		if n >= repeated {
			t.repeat = d
		}
		after := i + n
		start = after
		link(index, prev, buf, base, i+2, min(after, len(buf)-hashed+1), shift)
		i = after
		n = 0
	}
	return w.finish(buf, start, i, stop, n, d)
}

// search returns the longest match at buf[i:], which has the position pos and begins
// with v. next is the latest position with the same hash. A match shorter than n, that
// of the match at i-1, is of no use. again says that there is one at the distance of
// the last match.
func (t *history) search(buf []byte, v uint64, i int, pos, next uint16, n int, again bool) (length, distance int) {
	prev := t.prev[:1<<t.linkBits]
	mask := len(prev) - 1
	reach, most := min(i, 1<<t.windowBits), min(len(buf)-i, maxMatch)
	m, e := max(n-1, hashed-1), 0
	if m >= most {
		return 0, 0
	}
	known := 0
	if again {
		if l := matchLen(buf, i, i-t.repeat); l > m {
			m, known = l-1, l
		}
	}
	nice := min(most, t.nice)
	if known < nice {
		depth := t.depth
		if n >= t.good {
			depth >>= 2
		}
		end := load32(buf, i+m-3) // the bytes that end a longer match
		c := 0
		for ; depth > 0; depth-- {
			f := int(pos - next)
			if f <= c || f > reach {
				break
			}
			c = f
			next = prev[int(next)&mask]
			j := i - c
			if load32(buf, j+m-3) != end {
				continue
			}
			x := peek64(buf, j) ^ v
			if uint32(x) != 0 {
				continue
			}
			l := bits.TrailingZeros64(x) >> 3
			if x == 0 || i+8 > len(buf) {
				l = matchLen(buf, i, j)
			}
			if l > m {
				m, e = l, c
				if m >= nice {
					break
				}
				end = load32(buf, i+m-3)
			}
		}
	}
	if e == 0 {
		return known, t.repeat
	}
	return m, e
}

// link puts the positions of buf[i:to] into the index.
func link(index, prev []uint16, buf []byte, base uint32, i, to int, shift uint8) {
	for ; i+4 <= to && i+8 <= len(buf); i += 4 {
		v, pos := load64(buf, i), at(base, i)
		link1(index, prev, hash4(uint32(v), shift), pos)
		link1(index, prev, hash4(uint32(v>>8), shift), pos+1)
		link1(index, prev, hash4(uint32(v>>16), shift), pos+2)
		link1(index, prev, hash4(uint32(v>>24), shift), pos+3)
	}
	for ; i < to; i++ {
		link1(index, prev, hash4(load32(buf, i), shift), at(base, i))
	}
}

// link1 puts the position pos of bytes with the hash h into the index.
func link1(index, prev []uint16, h uint32, pos uint16) {
	index[h], prev[int(pos)&(len(prev)-1)] = pos, index[h]
}
