package flate

import (
	"encoding/binary"
	"math/bits"
)

// skipShift says how soon findBucket and findChain skip bytes while they find no
// match: one more for each 1<<skipShift literals.
const skipShift = 7

// hashed is the number of bytes in a hash, and so the least length of a match.
const hashed = 4

// repeated is the least length of a match whose distance is looked at again: data of
// which a little has changed since it was sent goes on at the same distance.
const repeated = 16

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i : i+4]) }
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// peek64 is load64, or load32 if fewer than 8 bytes are left.
func peek64(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i : i+8])
	}
	return uint64(binary.LittleEndian.Uint32(b[i : i+4]))
}

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

// better reports whether a match of length n at distance d saves more than a match of
// length m at distance e that begins a byte before.
func better(n, d, m, e int) bool {
	return 4*(n-m)-bits.Len(uint(d))+bits.Len(uint(e)) > 2
}

// run returns the length of the match at buf[i:] with distance 1, or 0.
func run(buf []byte, i, last int) int {
	if i >= last || load32(buf, i) != load32(buf, i-1) {
		return 0
	}
	return matchLen(buf, i, i-1)
}

// extend returns by how many bytes the match of length n at buf[i:] and at distance d
// may begin earlier. They were literals, of which buf[start:] are not in seqs.
func (w *blockWriter) extend(buf []byte, start, i, n, d int) int {
	k := 0
	for i > start && i > d && n < maxMatch && buf[i-1] == buf[i-d-1] {
		i--
		n++
		k++
		w.lit.freq[buf[i]]--
	}
	return k
}

// finish ends a call of a match finder at i: the match of length n at distance d
// begins at i-1, if n > 0, and bytes up to stop that are in no match are literals.
// buf[start:] is in no match before. It returns where the finder has stopped.
func (w *blockWriter) finish(buf []byte, start, i, stop, n, d int) int {
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
