package flate

// dynamicHeader is the description of a block's codes (RFC 1951, section
// 3.2.7).
type dynamicHeader struct {
	nlit, ndist int
	syms        [numLitLen + numDist]uint8 // of the code length code
	extra       [numLitLen + numDist]uint8 // extra bits of syms
	nsyms       int
	freq        [numCodeLen]uint16
	lens        [numCodeLen]uint8
	ncodes      int // lengths of the code length code that are sent
	code        [numCodeLen]sendCode
}

// repeatBits is the number of extra bits of the symbols 16 to 18.
var repeatBits = [numCodeLen]uint8{16: 2, 17: 3, 18: 7}

// dynamicSize makes codes for the block and returns its size in bits with
// them, the header included.
func (w *blockWriter) dynamicSize() int {
	h := &w.header
	h.nlit, h.ndist = numLitLen, numDist
	for w.litFreq[h.nlit-1] == 0 { // ends at endOfBlock
		h.nlit--
	}
	for h.ndist > 1 && w.distFreq[h.ndist-1] == 0 {
		h.ndist--
	}
	lits, dists := w.lens[:h.nlit], w.lens[h.nlit:h.nlit+h.ndist]
	w.build.lengths(lits, w.litFreq[:h.nlit], maxCodeBits)
	w.build.lengths(dists, w.distFreq[:h.ndist], maxCodeBits)
	if w.nseqs == 0 {
		dists[0] = 1 // some decoders want one
	}

	h.runs(w.lens[:h.nlit+h.ndist])
	w.build.lengths(h.lens[:], h.freq[:], 7)
	h.ncodes = numCodeLen
	for h.lens[codeLenOrder[h.ncodes-1]] == 0 {
		h.ncodes-- // ends above 4: a length that is not 0 is always sent
	}

	n := 3 + 5 + 5 + 4 + 3*h.ncodes + w.extraBits()
	for s, f := range h.freq {
		n += int(f) * int(h.lens[s]+repeatBits[s])
	}
	for s, f := range w.litFreq[:h.nlit] {
		n += int(f) * int(lits[s])
	}
	for s, f := range w.distFreq[:h.ndist] {
		n += int(f) * int(dists[s])
	}
	return n
}

// runs makes symbols of the code length code from lens.
func (h *dynamicHeader) runs(lens []uint8) {
	h.nsyms = 0
	clear(h.freq[:])
	for i := 0; i < len(lens); {
		l := lens[i]
		n := 1
		for i+n < len(lens) && lens[i+n] == l {
			n++
		}
		i += n
		if l != 0 {
			h.add(l, 0)
			n--
			for n >= 3 {
				k := min(n, 6)
				h.add(16, uint8(k-3))
				n -= k
			}
		} else {
			for n >= 11 {
				k := min(n, 138)
				h.add(18, uint8(k-11))
				n -= k
			}
			if n >= 3 {
				h.add(17, uint8(n-3))
				n = 0
			}
		}
		for range n {
			h.add(l, 0)
		}
	}
}

func (h *dynamicHeader) add(sym, extra uint8) {
	h.syms[h.nsyms], h.extra[h.nsyms] = sym, extra
	h.nsyms++
	h.freq[sym]++
}

// writeHeader writes the header that dynamicSize has made, after the three
// bits of every block.
func (w *blockWriter) writeHeader() {
	h := &w.header
	w.bits(uint64(h.nlit-257)|uint64(h.ndist-1)<<5|uint64(h.ncodes-4)<<10, 14)
	for _, s := range codeLenOrder[:h.ncodes] {
		w.bits(uint64(h.lens[s]), 3)
	}
	assignCodes(h.code[:], h.lens[:])
	for i, s := range h.syms[:h.nsyms] {
		c := h.code[s]
		w.bits(uint64(c>>4)|uint64(h.extra[i])<<(c&15), uint(c&15)+uint(repeatBits[s]))
	}
}
