package flate

import "encoding/binary"

// Symbols of the code length code that repeat a length (section 3.2.7).
const (
	repeatLast     = 16 // 3 to 6 times the previous length
	repeatZero     = 17 // 3 to 10 times 0
	repeatZeroLong = 18 // 11 to 138 times 0
)

// inflateHeader is the header of a dynamic block.
type inflateHeader struct {
	litLens  int // HLIT + 257
	dists    int // HDIST + 1
	codeLens int // HCLEN + 4
	have     int // how many lengths of the current stage were read
	codeLen  [numCodeLen]uint8
	lens     [numLitLen + numDist]uint8 // of the literals and lengths, and right behind them of the distances
	table    [1 << codeLenBits]uint32
}

// need takes input until there are n bits, with n up to 32, and reports whether there
// was enough.
func (w *inflateWork) need(n uint) bool {
	if w.nbits >= n {
		return true
	}
	if len(w.in) >= 8 {
		w.bits |= binary.LittleEndian.Uint64(w.in) << (w.nbits & 63)
		taken := (63 - w.nbits) >> 3
		w.in = w.in[taken:]
		w.nbits += taken << 3
		w.bits &= 1<<(w.nbits&63) - 1
		return true
	}
	for w.nbits < n {
		if len(w.in) == 0 {
			return false
		}
		w.bits |= uint64(w.in[0]) << (w.nbits & 63)
		w.in = w.in[1:]
		w.nbits += 8
	}
	return true
}

// take returns n bits. They must be there.
func (w *inflateWork) take(n uint) int {
	v := int(w.bits & (1<<(n&63) - 1))
	w.drop(n)
	return v
}

func (w *inflateWork) drop(n uint) {
	w.bits >>= n & 63
	w.nbits -= n
}

// block reads the first three bits of a block. ok reports whether the input was
// there, as in all functions below.
func (d *Decoder) block() (ok bool, err error) {
	w := d.work
	if !w.need(3) {
		return false, nil
	}
	w.final = w.take(1) == 1
	switch w.take(2) {
	case 0:
		w.drop(w.nbits & 7)
		w.stage = stageStored
	case 1:
		w.litLen, w.dists = fixedLitLen(), fixedDist[d.windowBits]()
		w.stage = stageSymbol
	case 2:
		w.stage = stageSizes
	default:
		return true, errInflateType
	}
	return true, nil
}

// endBlock is called at the end of a block. After the last block of a DEFLATE stream
// the next block begins at a byte boundary.
func (w *inflateWork) endBlock() {
	if w.final {
		w.drop(w.nbits & 7)
	}
	w.stage = stageBlock
}

// stored reads the header of a stored block.
func (w *inflateWork) stored() (ok bool, err error) {
	if !w.need(32) {
		return false, nil
	}
	w.length = w.take(16)
	if w.take(16) != w.length^0xffff {
		return true, errInflateStored
	}
	w.stage = stageBytes
	return true, nil
}

func (w *inflateWork) sizes() (ok bool, err error) {
	if !w.need(5 + 5 + 4) {
		return false, nil
	}
	h := &w.header
	h.litLens = w.take(5) + 257
	h.dists = w.take(5) + 1
	h.codeLens = w.take(4) + 4
	if h.litLens > numLitLen || h.dists > numDist {
		return true, errInflateSizes
	}
	h.have = 0
	w.stage = stageCodeLens
	return true, nil
}

func (w *inflateWork) codeLens() (ok bool, err error) {
	h := &w.header
	for ; h.have < h.codeLens; h.have++ {
		if !w.need(3) {
			return false, nil
		}
		h.codeLen[codeLenOrder[h.have]] = uint8(w.take(3))
	}
	for _, sym := range codeLenOrder[h.codeLens:] {
		h.codeLen[sym] = 0
	}
	if !inflateTable(h.table[:], codeLenBits, h.codeLen[:], codeLenEntries[:], false) {
		return true, errInflateCodeLens
	}
	h.have = 0
	w.stage = stageLens
	return true, nil
}

func (d *Decoder) lens() (ok bool, err error) {
	w := d.work
	h := &w.header
	lens := h.lens[:h.litLens+h.dists]
	for h.have < len(lens) {
		w.need(codeLenBits + 7)
		e := h.table[w.bits&(1<<codeLenBits-1)]
		total := uint(e & entryTotal)
		if total > w.nbits {
			return false, nil
		}
		sym := e >> entryValue
		if sym < repeatLast {
			w.drop(total)
			lens[h.have] = uint8(sym)
			h.have++
			continue
		}
		extra := w.take(total) >> (e >> entryCode & 15)
		var value uint8
		var count int
		switch sym {
		case repeatLast:
			if h.have == 0 {
				return true, errInflateNoRepeat
			}
			value, count = lens[h.have-1], 3+extra
		case repeatZero:
			count = 3 + extra
		default:
			count = 11 + extra
		}
		if count > len(lens)-h.have {
			return true, errInflateRepeat
		}
		run := lens[h.have : h.have+count]
		for i := range run {
			run[i] = value
		}
		h.have += count
	}
	if lens[endOfBlock] == 0 {
		return true, errInflateNoEnd
	}
	if !inflateTable(w.ownLitLen[:], litLenBits, lens[:h.litLens], litLenEntries[:], true) {
		return true, errInflateLitLen
	}
	if !inflateTable(w.ownDists[:], distBits, lens[h.litLens:], distEntries[d.windowBits][:], true) {
		return true, errInflateDist
	}
	w.litLen, w.dists = &w.ownLitLen, &w.ownDists
	w.stage = stageSymbol
	return true, nil
}
