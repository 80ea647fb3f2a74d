package flate

import "math/bits"

// enough is the length of a match at the last distance that ends the search of
// findBucket: data that changed a little goes on at that distance.
const enough = 32

// A candidate is a possible match: its length, up to 8, shifted left by 16, and
// 65536 - its distance. So the greater one is longer or, at equal length,
// nearer. The length is below 4 if there is no match.
type candidate uint32

func (c candidate) distance() int { return 1<<16 - int(c&0xffff) }

// newCandidate compares v, the bytes at buf[i:], which has the position pos, with
// those at the position p. It has no branches that are hard to predict. A distance
// beyond reach is no match.
func newCandidate(buf []byte, v uint64, i int, pos, p uint16, reach int) candidate {
	f := uint32(pos - p - 1)              // the distance - 1
	far := (uint32(reach) - 1 - f) >> 31  // 1 if it is beyond reach, or else 0
	j := i - int((f+1)&(far-1))           // i if it is
	x := peek64(buf, j) ^ v | uint64(far) // a difference in the first byte if it is
	return candidate(bits.TrailingZeros64(x)>>3<<16) | candidate(f^0xffff)
}

// longest returns the longest of the matches at the four positions in bucket, if it
// is longer than m, or else the match of length m at distance d.
func longest(buf []byte, v uint64, i int, pos uint16, bucket uint64, reach, m, d int) (length, distance int) {
	c0 := newCandidate(buf, v, i, pos, uint16(bucket), reach)
	c1 := newCandidate(buf, v, i, pos, uint16(bucket>>16), reach)
	c2 := newCandidate(buf, v, i, pos, uint16(bucket>>32), reach)
	c3 := newCandidate(buf, v, i, pos, uint16(bucket>>48), reach)
	best := max(c0, c1, c2, c3)
	if best < hashed<<16 {
		return m, d
	}
	unsure := candidate(8 << 16) // from here on there may be more equal bytes
	if i+8 > len(buf) {
		unsure = hashed << 16
	}
	if best < unsure {
		if l := int(best >> 16); l > m {
			return l, best.distance()
		}
		return m, d
	}
	for _, c := range [4]candidate{c0, c1, c2, c3} {
		if c < unsure {
			continue
		}
		e := c.distance()
		if m > 8 && (i+m >= len(buf) || buf[i+m] != buf[i+m-e]) {
			continue
		}
		if l := matchLen(buf, i, i-e); l > m {
			m, d = l, e
		}
	}
	return m, d
}

// findBucket looks at all positions in the bucket of a hash, but first at the
// distance of the last match.
func (t *history) findBucket(w *blockWriter, buf []byte, base uint32, i, stop int) int {
	window := 1 << t.windowBits
	wide := t.wide & 1
	shift := 34 - t.indexBits + wide
	buckets := t.buckets[:1<<t.indexBits/4]
	lazy, step := t.lazy, int(t.step)
	start := i - w.lits // of the literals that no match follows yet
	last := min(stop, len(buf)-hashed+1)
	repeat := t.repeat
	var n, d int // the match at i-1, if n > 0
	for i < last {
		v := peek64(buf, i)
		h := hash4(uint32(v), shift) << wide
		pos := at(base, i)
		bucket := buckets[h]
		buckets[h] = bucket<<16 | uint64(pos)

		var m, e, again int
		reach := min(i, window)
		if uint(repeat-1) < uint(reach) && load32(buf, i-repeat) == uint32(v) {
			again = matchLen(buf, i, i-repeat)
			m = again - 1
		}
		if again < enough {
			m, e = longest(buf, v, i, pos, bucket, reach, m, e)
		}
		if wide > 0 {
			second := buckets[h+1]
			buckets[h+1] = second<<16 | bucket>>48
			if again < enough {
				m, e = longest(buf, v, i, pos, second, reach, m, e)
			}
		}
		if e == 0 {
			m, e = again, repeat
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
			repeat = d
		}
		end := i + n
		start = end
		i += 2
		for to := min(end, len(buf)-hashed+1); i < to; i += step {
			h := hash4(load32(buf, i), shift) << wide
			bucket := buckets[h]
			buckets[h] = bucket<<16 | uint64(at(base, i))
			if wide > 0 {
				buckets[h+1] = buckets[h+1]<<16 | bucket>>48
			}
		}
		i = end
		n = 0
	}
	t.repeat = repeat
	return w.finish(buf, start, i, stop, n, d)
}
