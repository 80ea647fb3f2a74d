package flate

import (
	"encoding/binary"
)

// run inflates src and appends to dst until all output of src is in dst, or dst is
// full. It begins with room in dst.
func (d *Decoder) run(dst []byte, start int, src []byte) (out []byte, n int, err error) {
	w := d.work
	w.in = src
	out = dst
	for ok := true; ok && err == nil; {
		switch w.stage {
		case stageBlock:
			ok, err = d.block()
		case stageStored:
			ok, err = w.stored()
		case stageBytes:
			out, ok = w.storedBytes(out)
		case stageSizes:
			ok, err = w.sizes()
		case stageCodeLens:
			ok, err = w.codeLens()
		case stageLens:
			ok, err = d.lens()
		case stageSymbol:
			if len(w.in) >= fastInput && cap(out)-len(out) >= fastRoom {
				out, err = d.fast(out, start)
			} else {
				out, ok, err = w.symbol(out)
			}
		case stageDist:
			ok, err = d.distance(len(out) - start)
		case stageMatch:
			out, ok = d.match(out, start)
		}
	}
	n = len(src) - len(w.in)
	w.in = nil
	return out, n, err
}

// storedBytes copies a stored block. ok reports whether all input and room was there.
func (w *inflateWork) storedBytes(out []byte) (_ []byte, ok bool) {
	for w.length > 0 && w.nbits > 0 && len(out) < cap(out) {
		out = append(out, byte(w.take(8)))
		w.length--
	}
	if w.nbits == 0 {
		n := min(w.length, len(w.in), cap(out)-len(out))
		out = append(out, w.in[:n]...)
		w.in = w.in[n:]
		w.length -= n
	}
	if w.length > 0 {
		return out, false
	}
	w.endBlock()
	return out, true
}

// lookup returns the entry for the next symbol, the number of bits of its code, and
// the total number with its extra bits. These may be more bits than there are:
// missing bits count as zeros, and a symbol does not depend on the bits after its own.
func (w *inflateWork) lookup(table []uint32, tableBits uint) (e uint32, code, total uint) {
	e = table[w.bits&(1<<tableBits-1)]
	if e&entryTable == 0 {
		return e, uint(e >> entryCode & 15), uint(e & entryTotal)
	}
	index := w.bits >> tableBits & (1<<(e>>entryCode&15) - 1)
	e = table[uint64(e>>entryValue)+index]
	return e, tableBits + uint(e>>entryCode&15), tableBits + uint(e&entryTotal)
}

// symbol decodes a literal, a length or the end of the block, within the bounds of
// input and output.
func (w *inflateWork) symbol(out []byte) (_ []byte, ok bool, err error) {
	w.need(maxCodeBits + 5)
	e, code, total := w.lookup(w.litLen[:], litLenBits)
	switch {
	case total > w.nbits:
		return out, false, nil
	case e&entryLiteral != 0:
		if len(out) == cap(out) {
			return out, false, nil
		}
		out = append(out, byte(e>>entryValue))
		w.drop(total)
	case e&entryInvalid != 0:
		return out, true, errInflateNoLength
	case e&entrySpecial != 0:
		w.drop(total)
		w.endBlock()
	default:
		w.length = int(e>>entryValue) + w.take(total)>>code
		w.stage = stageDist
	}
	return out, true, nil
}

// distance decodes a distance, and checks it with this much output after the window.
func (d *Decoder) distance(produced int) (ok bool, err error) {
	w := d.work
	w.need(maxCodeBits + 13)
	e, code, total := w.lookup(w.dists[:], distBits)
	if total > w.nbits {
		return false, nil
	}
	if e&entryInvalid != 0 {
		return true, d.errDistance(e)
	}
	w.dist = int(e>>entryValue) + w.take(total)>>code
	if w.dist > produced && !d.inWindow(w.dist-produced) {
		return true, errInflateFar
	}
	w.stage = stageMatch
	return true, nil
}

// errDistance returns the error for the entry of an invalid distance.
func (d *Decoder) errDistance(e uint32) error {
	if e&entryWindow != 0 {
		return inflateError("a distance beyond the window of %d bytes", 1<<d.windowBits)
	}
	return errInflateNoDist
}

// inWindow reports whether the window has this many bytes.
func (d *Decoder) inWindow(back int) bool {
	return d.window != nil && back <= int(d.window.size)
}

// match copies as much of a match as fits. ok reports whether all of it fitted.
func (d *Decoder) match(out []byte, start int) (_ []byte, ok bool) {
	w := d.work
	begin := len(out)
	out = out[:min(begin+w.length, cap(out))]
	w.length -= len(out) - begin
	d.copyMatch(out, begin, start, w.dist)
	if w.length > 0 {
		return out, false
	}
	w.stage = stageSymbol
	return out, true
}

// copyMatch fills out from at on with the bytes from at-dist on.
func (d *Decoder) copyMatch(out []byte, at, start, dist int) {
	if back := dist - (at - start); back > 0 {
		n := min(back, len(out)-at)
		d.window.read(out[at:at+n], back)
		at += n
	}
	if at == len(out) {
		return
	}
	for from := at - dist; at < len(out); { // each copy is twice as long
		at += copy(out[at:], out[from:at])
	}
}

// The input and room that fast needs for one round. Input: two refills, the first of
// which advances by seven bytes at most. Room: literals, a match, and the bytes that
// a copy in steps of up to 32 writes too many.
const (
	fastInput = 7 + 8
	fastRoom  = 3 + maxMatch + 31
)

// fast decodes symbols while there is enough input and room for a whole round without
// further checks. It leaves the rest of a block to the functions above.
//
// It begins a round with at least 56 bits, enough for three literals or two and a
// length, and with the entry for the next symbol. This entry is looked up before a
// match is copied, so that the look-up overlaps with the copy.
func (d *Decoder) fast(out []byte, start int) (_ []byte, err error) {
	w := d.work
	litLen, dists := w.litLen, w.dists
	in, buf := w.in, out[:cap(out)]
	o := len(out)
	maxIn, maxOut := len(in)-fastInput, len(buf)-fastRoom

	bits, nbits, i := refill(w.bits, w.nbits, in, 0)
	e := litLen[bits&(1<<litLenBits-1)]
	for i <= maxIn && o <= maxOut {
		if e&entryLiteral != 0 {
			buf[o] = byte(e >> entryValue)
			o++
			bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
			e = litLen[bits&(1<<litLenBits-1)]
			if e&entryLiteral != 0 {
				buf[o] = byte(e >> entryValue)
				o++
				bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
				e = litLen[bits&(1<<litLenBits-1)]
				if e&entryLiteral != 0 {
					buf[o] = byte(e >> entryValue)
					o++
					bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
					bits, nbits, i = refill(bits, nbits, in, i)
					e = litLen[bits&(1<<litLenBits-1)]
					continue
				}
			}
		}
		if e&entrySpecial != 0 {
			if e&entryTable != 0 {
				bits, nbits = bits>>litLenBits, nbits-litLenBits
				e = litLen[uint64(e>>entryValue)+bits&(1<<(e>>entryCode&15)-1)]
				if e&entryLiteral != 0 {
					buf[o] = byte(e >> entryValue)
					o++
					bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
					bits, nbits, i = refill(bits, nbits, in, i)
					e = litLen[bits&(1<<litLenBits-1)]
					continue
				}
			}
			if e&entryInvalid != 0 {
				err = errInflateNoLength
				break
			}
			if e&entrySpecial != 0 {
				bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
				w.stage = stageBlock // by endBlock, below
				break
			}
		}
		length := int(e>>entryValue) + int(bits&(1<<(e&entryTotal)-1)>>(e>>entryCode&15))
		bits, nbits = bits>>(e&entryTotal), nbits-uint(e)

		if nbits&63 < maxCodeBits+13 {
			bits, nbits, i = refill(bits, nbits, in, i)
		}
		e = dists[bits&(1<<distBits-1)]
		if e&entrySpecial != 0 {
			if e&entryTable != 0 {
				bits, nbits = bits>>distBits, nbits-distBits
				e = dists[uint64(e>>entryValue)+bits&(1<<(e>>entryCode&15)-1)]
			}
			if e&entryInvalid != 0 {
				err = d.errDistance(e)
				break
			}
		}
		dist := int(e>>entryValue) + int(bits&(1<<(e&entryTotal)-1)>>(e>>entryCode&15))
		bits, nbits = bits>>(e&entryTotal), nbits-uint(e)
		bits, nbits, i = refill(bits, nbits, in, i)
		e = litLen[bits&(1<<litLenBits-1)]

		end, from := o+length, o-dist
		switch {
		case from < start:
			if !d.inWindow(start - from) {
				err = errInflateFar
				end = o
				break
			}
			d.copyMatch(buf[:end], o, start, dist)
		case dist >= 8:
			copy32(buf[o:o+32], buf[from:from+32])
			for o, from = o+32, from+32; o < end; o, from = o+16, from+16 {
				copy16(buf[o:o+16], buf[from:from+16])
			}
		case dist == 1:
			for run := uint64(buf[from]) * 0x0101010101010101; o < end; o += 8 {
				binary.LittleEndian.PutUint64(buf[o:o+8], run)
			}
		default: // of the bytes that a step writes, the first dist are right
			for ; o < end; o, from = o+dist, from+dist {
				binary.LittleEndian.PutUint64(buf[o:o+8], binary.LittleEndian.Uint64(buf[from:from+8]))
			}
		}
		o = end
		if err != nil {
			break
		}
	}

	w.in = in[i:]
	w.nbits = nbits & 63
	w.bits = bits & (1<<w.nbits - 1)
	if w.stage == stageBlock {
		w.endBlock()
	}
	return out[:o], err
}

// refill makes nbits 56 or more. Only the six low bits of nbits count, before and
// after. The bits above the nbits valid ones are those of in[i:], so setting them
// again changes nothing.
func refill(bits uint64, nbits uint, in []byte, i int) (uint64, uint, int) {
	bits |= binary.LittleEndian.Uint64(in[i:i+8]) << (nbits & 63)
	return bits, nbits | 56, i + int((63-nbits)>>3&7)
}

// copy32 and copy16 copy in steps of 8 bytes, one after the other. So from may be as
// little as 8 before to: a later step then copies the bytes that an earlier one has
// written.
func copy32(to, from []byte) {
	t, f := (*[32]byte)(to), (*[32]byte)(from)
	binary.LittleEndian.PutUint64(t[:8], binary.LittleEndian.Uint64(f[:8]))
	binary.LittleEndian.PutUint64(t[8:16], binary.LittleEndian.Uint64(f[8:16]))
	binary.LittleEndian.PutUint64(t[16:24], binary.LittleEndian.Uint64(f[16:24]))
	binary.LittleEndian.PutUint64(t[24:], binary.LittleEndian.Uint64(f[24:]))
}

func copy16(to, from []byte) {
	t, f := (*[16]byte)(to), (*[16]byte)(from)
	binary.LittleEndian.PutUint64(t[:8], binary.LittleEndian.Uint64(f[:8]))
	binary.LittleEndian.PutUint64(t[8:], binary.LittleEndian.Uint64(f[8:]))
}
