package flate

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// maxSymbols is the maximum number of literals and matches in a block. So the
	// frequency of a symbol fits 16 bits; and a longer block would adapt too slowly.
	maxSymbols = 16384
	maxStored  = 65535 // bytes in a stored block
)

// A seq is a number of literals and the match that follows them.
type seq struct {
	lits    uint16
	dist    uint16 // distance - 1
	length  uint8  // length - 3
	distSym uint8
}

// blockWriter makes blocks of sequences. It is pooled: only its memory outlives a
// call of Encode.
type blockWriter struct {
	// The block being made: sequences, then more literals.
	seqs    [maxSymbols]seq
	nseqs   int
	symbols int // literals and matches in seqs
	lits    int // literals since

	// Input for stored blocks. It is written late, so that the blocks get as long as
	// possible.
	stored []byte

	out  []byte // to its capacity
	pos  int    // how much of out is written
	acc  uint64 // bits that follow, lowest first
	nacc uint   // how many bits acc holds; below 8 between calls

	lit, dist alphabet // of the block; their frequencies are kept with seqs and lits
	extra     int      // extra bits of the block's matches
	header    dynamicHeader
	builder   codeBuilder

	messages  uint32 // with takeover, counted for preload
	preloaded uint64 // without meaning
}

// lengthInfo holds for each length-3 its symbol-257, the number of extra bits, and
// their value.
var lengthInfo = func() (t [256]struct{ sym, nextra, extra uint8 }) {
	for sym, base := range lengthBase {
		for x := range 1 << lengthExtra[sym] {
			if l := int(base) + x - minMatch; l < len(t) {
				t[l].sym, t[l].nextra, t[l].extra = uint8(sym), lengthExtra[sym], uint8(x)
			}
		}
	}
	return t
}()

// distOffset and paddedDistBits are distBase-1 and distExtra, with room for an index
// that needs no check.
var distOffset, paddedDistBits = func() (offset [32]uint16, bits [32]uint8) {
	for s, base := range distBase {
		offset[s], bits[s] = base-1, distExtra[s]
	}
	return offset, bits
}()

// The fixed code (section 3.2.6).
var fixedLiterals, fixedDistances = func() (lit, dist alphabet) {
	for s := range lit.lens {
		l, c := uint8(8), 0b00110000+s
		switch {
		case s >= 280:
			c = 0b11000000 + s - 280
		case s >= 256:
			l, c = 7, s-256
		case s >= 144:
			l, c = 9, 0b110010000+s-144
		}
		lit.lens[s] = l
		lit.code[s] = sendCode(bits.Reverse16(uint16(c))>>(16-l))<<4 | sendCode(l)
	}
	for s := range numDist {
		dist.code[s] = sendCode(bits.Reverse8(uint8(s))>>3)<<4 | 5
	}
	return lit, dist
}()

// distSymbol returns the symbol of the distance d+1.
func distSymbol(d uint) uint8 {
	if d < 2 {
		return uint8(d)
	}
	n := uint(bits.Len(d)) - 2
	return uint8(2*n + d>>(n&63))
}

// match ends a sequence. Its literals have been counted.
func (w *blockWriter) match(lits, length, dist int) {
	d := distSymbol(uint(dist - 1))
	info := &lengthInfo[uint8(length-minMatch)]
	w.seqs[w.nseqs] = seq{uint16(lits), uint16(dist - 1), uint8(length - minMatch), d}
	w.nseqs++
	w.symbols += lits + 1
	w.lit.freq[257+uint(info.sym)]++
	w.dist.freq[d&31]++
	w.extra += int(info.nextra + paddedDistBits[d&31])
}

// count counts literals.
func (w *blockWriter) count(lits []byte) {
	for _, c := range lits {
		w.lit.freq[c]++
	}
}

// begin starts writing after the end of dst.
func (w *blockWriter) begin(dst []byte) {
	w.out, w.pos = dst[:cap(dst)], len(dst)
}

// end writes the remaining input and the header of an empty stored block, to the
// next byte boundary, and the rest of that block unless last is set. It returns
// everything that has been written.
func (w *blockWriter) end(last bool) []byte {
	w.flushStored()
	w.reserve(16)
	w.align()
	if !last {
		w.bits(0xffff0000, 32)
	}
	dst := w.out[:w.pos]
	w.out, w.stored = nil, nil
	return dst
}

// reserve makes room for n bytes; the last 8 may be overwritten with anything.
func (w *blockWriter) reserve(n int) {
	if len(w.out)-w.pos < n {
		w.out = slices.Grow(w.out[:w.pos], n)
		w.out = w.out[:cap(w.out)]
	}
}

// bits appends the n low bits of v; the others are 0. n is at most 56. There has to
// be room.
func (w *blockWriter) bits(v uint64, n uint) {
	w.acc |= v << (w.nacc & 63)
	w.nacc += n
	binary.LittleEndian.PutUint64(w.out[w.pos:w.pos+8], w.acc)
	w.pos += int(w.nacc >> 3)
	w.acc >>= w.nacc &^ 7 & 63
	w.nacc &= 7
}

// align writes the header of a stored block that is not the last: three bits, and
// those up to the next byte boundary, all 0.
func (w *blockWriter) align() {
	w.bits(0, 3)
	w.bits(0, -w.nacc&7)
}

// endBlock ends the block with the bytes src. more means that another block will
// follow.
func (w *blockWriter) endBlock(src []byte, more bool) {
	if len(src) == 0 {
		return
	}
	w.lit.freq[endOfBlock] = 1
	dynamic, fixed := w.dynamicSize(), w.fixedSize()

	// Bits of a stored block, or of extending the previous one.
	stored := 8*len(src) + 40*(storedBlocks(len(w.stored)+len(src))-storedBlocks(len(w.stored)))
	if len(w.stored) == 0 {
		stored += int(-(w.nacc+3)&7) + 3 - 8
	}
	limit := stored
	if more {
		limit -= 48 // this block may separate two stored blocks that could have been one
	}
	switch {
	case min(fixed, dynamic) >= limit:
		if len(w.stored) == 0 {
			w.stored = src
		} else {
			w.stored = w.stored[:len(w.stored)+len(src)] // src follows it in memory
		}
	case fixed <= dynamic:
		w.flushStored()
		w.reserve(fixed/8 + 24)
		w.bits(1<<1, 3)
		w.write(src, &fixedLiterals.code, &fixedDistances.code)
	default:
		w.flushStored()
		w.reserve(dynamic/8 + 24)
		w.bits(2<<1, 3)
		w.writeHeader()
		w.lit.assign()
		w.dist.assign()
		w.write(src, &w.lit.code, &w.dist.code)
	}
	w.nseqs, w.symbols, w.lits, w.extra = 0, 0, 0, 0
	clear(w.lit.freq[:])
	clear(w.dist.freq[:numDist])
}

// storedBlocks returns how many stored blocks n bytes need.
func storedBlocks(n int) int { return (n + maxStored - 1) / maxStored }

func (w *blockWriter) flushStored() {
	for len(w.stored) > 0 {
		n := min(len(w.stored), maxStored)
		w.reserve(n + 24)
		w.align()
		w.bits(uint64(n)|uint64(^uint16(n))<<16, 32)
		w.pos += copy(w.out[w.pos:], w.stored[:n])
		w.stored = w.stored[n:]
	}
}

// fixedSize returns the size of the block in bits with the fixed code. The literals'
// alphabet has been built already.
func (w *blockWriter) fixedSize() int {
	n := 3 + w.extra + 5*w.nseqs
	for _, k := range w.lit.used[:w.lit.nused] {
		n += int(k>>9) * int(fixedLiterals.lens[k&511])
	}
	return n
}

// write writes the symbols of the block.
func (w *blockWriter) write(src []byte, lit, dist *[numLitLen]sendCode) {
	// Locals and few branches, since the number of literals is hard to predict.
	out, pos, acc, n := w.out, w.pos, w.acc, w.nacc
	for i := range w.seqs[:w.nseqs] {
		s := &w.seqs[i]
		// At most 7 bits wait here. Three literals are 45 more.
		lits := int(s.lits)
		for ; lits > 2; lits -= 3 {
			a, b, c := lit[src[0]], lit[src[1]], lit[src[2]]
			src = src[3:]
			acc |= (uint64(a>>4) | uint64(b>>4)<<(a&15)) << (n & 63)
			n += uint(a&15) + uint(b&15)
			acc |= uint64(c>>4) << (n & 63)
			n += uint(c & 15)
			binary.LittleEndian.PutUint64(out[pos:pos+8], acc)
			pos += int(n >> 3)
			acc >>= n &^ 7 & 63
			n &= 7
		}
		// None, one or two literals remain. If fewer than two, bytes of the match
		// are looked up and masked out.
		a := lit[src[0]] & -sendCode((lits+1)>>1)
		b := lit[src[1]] & -sendCode(lits>>1)
		acc |= (uint64(a>>4) | uint64(b>>4)<<(a&15)) << (n & 63)
		n += uint(a&15) + uint(b&15)
		binary.LittleEndian.PutUint64(out[pos:pos+8], acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
		src = src[lits+int(s.length)+minMatch:]

		// A match is up to 48 bits more.
		info := lengthInfo[s.length]
		a = lit[257+uint(info.sym)]
		acc |= uint64(a>>4) << (n & 63)
		n += uint(a & 15)
		acc |= uint64(info.extra) << (n & 63)
		n += uint(info.nextra)
		d := s.distSym & 31
		a = dist[d]
		acc |= uint64(a>>4) << (n & 63)
		n += uint(a & 15)
		acc |= uint64(s.dist-distOffset[d]) << (n & 63)
		n += uint(paddedDistBits[d])
		binary.LittleEndian.PutUint64(out[pos:pos+8], acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	w.pos, w.acc, w.nacc = pos, acc, n
	for _, c := range src {
		a := lit[c]
		w.bits(uint64(a>>4), uint(a&15))
	}
	a := lit[endOfBlock]
	w.bits(uint64(a>>4), uint(a&15))
}
