package flate

import "encoding/binary"

// dynamicHeader describes the codes of a block (RFC 1951, section 3.2.7).
type dynamicHeader struct {
	nlit, ndist int                         // code lengths of each
	syms        [numLitLen + numDist]uint16 // symbols of the code length code, extra bits shifted left by 8
	nsyms       int
	lens        alphabet // the code length code
	nlens       int      // number of its lengths
}

// repeatBits is the number of extra bits of the symbols 16 to 18.
var repeatBits = [32]uint8{16: 2, 17: 3, 18: 7}

// dynamicSize makes codes for the block and returns its size in bits with
// them, the header included.
func (w *blockWriter) dynamicSize() int {
	h := &w.header
	n := 3 + 5 + 5 + 4 + w.extra
	n += w.lit.build(&w.builder, numLitLen, maxCodeBits)
	if w.nseqs == 0 {
		w.dist.freq[0] = 1 // some decoders want a code word, though it is not used
		n--
	}
	n += w.dist.build(&w.builder, numDist, maxCodeBits)

	h.runs(&w.lit, &w.dist)
	n += h.lens.build(&w.builder, numCodeLen, 7)
	for i, s := range codeLenOrder {
		if h.lens.freq[s] != 0 {
			h.nlens = i + 1 // above 4: there is a length that is not 0
		}
	}
	n += 3 * h.nlens
	for s := 16; s < numCodeLen; s++ {
		n += int(h.lens.freq[s]) * int(repeatBits[s])
	}
	return n
}

// runs makes symbols of the code length code from the lengths of lit and dist,
// which count as one sequence.
func (h *dynamicHeader) runs(lit, dist *alphabet) {
	h.nlit = int(lit.used[lit.nused-1]&511) + 1 // endOfBlock occurs always
	h.ndist = int(dist.used[dist.nused-1]&511) + 1
	h.nsyms = 0
	clear(h.lens.freq[:numCodeLen])
	next := 0 // the next length
	last, n := uint8(0), 0
	for _, part := range [2]struct {
		*alphabet
		from int
	}{{lit, 0}, {dist, h.nlit}} {
		for _, k := range part.used[:part.nused] {
			s := k & 511
			l := part.lens[s]
			at := part.from + int(s)
			if at == next && l == last {
				n++
			} else {
				h.repeat(last, n)
				h.zeros(at - next)
				h.add(uint16(l), 0)
				last, n = l, 0
			}
			next = at + 1
		}
	}
	h.repeat(last, n)
}

// repeat adds the length l n times, after an equal one.
func (h *dynamicHeader) repeat(l uint8, n int) {
	for ; n >= 3; n -= min(n, 6) {
		h.add(16, min(n, 6)-3)
	}
	for range n {
		h.add(uint16(l), 0)
	}
}

// zeros adds the length 0 n times.
func (h *dynamicHeader) zeros(n int) {
	for ; n >= 11; n -= min(n, 138) {
		h.add(18, min(n, 138)-11)
	}
	if n >= 3 {
		h.add(17, n-3)
		return
	}
	for range n {
		h.add(0, 0)
	}
}

func (h *dynamicHeader) add(sym uint16, extra int) {
	h.syms[h.nsyms] = sym | uint16(extra)<<8
	h.nsyms++
	h.lens.freq[sym]++
}

// writeHeader writes the header that dynamicSize has made, after the three
// bits of every block.
func (w *blockWriter) writeHeader() {
	h := &w.header
	w.bits(uint64(h.nlit-257)|uint64(h.ndist-1)<<5|uint64(h.nlens-4)<<10, 14)
	lens := uint64(0)
	for i, s := range codeLenOrder[:h.nlens] {
		if h.lens.freq[s] != 0 {
			lens |= uint64(h.lens.lens[s]) << (3 * i)
		}
	}
	w.bits(lens&(1<<30-1), uint(min(3*h.nlens, 30)))
	if h.nlens > 10 {
		w.bits(lens>>30, uint(3*h.nlens-30))
	}
	h.lens.assign()
	out, pos, acc, n := w.out, w.pos, w.acc, w.nacc
	for _, sym := range h.syms[:h.nsyms] {
		c := h.lens.code[sym&255]
		acc |= (uint64(c>>4) | uint64(sym>>8)<<(c&15)) << (n & 63)
		n += uint(c&15) + uint(repeatBits[sym&31])
		binary.LittleEndian.PutUint64(out[pos:pos+8], acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	w.pos, w.acc, w.nacc = pos, acc, n
}
