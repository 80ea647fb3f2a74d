package flate

import (
	"encoding/binary"
	"math/bits"
)

// A sendCode is a code word as it is sent, first bit lowest, shifted left by
// four, and its length in the low four bits.
type sendCode uint32

// codeBuilder makes the prefix codes of a block from how often each symbol
// occurs. It is scratch: nothing in it outlives a call.
type codeBuilder struct {
	keys  [2][numLitLen]uint32 // frequency<<9 | symbol, ascending in the end
	nodes [numLitLen]uint32
	count [256]uint16
}

// lengths sets lens to the lengths of an optimal prefix code, none above
// limit. It has to be possible: len(freq) <= 1<<limit. A symbol that does not
// occur has no code and length 0; one that is alone has one of one bit.
func (b *codeBuilder) lengths(lens []uint8, freq []uint16, limit int) {
	clear(lens)
	keys := b.sorted(freq)
	n := len(keys)
	if n < 2 {
		if n == 1 {
			lens[keys[0]&511] = 1
		}
		return
	}
	var count [maxCodeBits + 1]int
	b.tree(keys)

	// A tree with only a root has two leaves at depth 1. Each other inner node,
	// from the top to the bottom, puts two leaves, one deeper, in the place of
	// one. What would get too deep grows where there is room: below the deepest
	// leaf that is not at the limit.
	count[1] = 2
	for i := n - 3; i >= 0; i-- {
		depth := int(b.nodes[i])
		if depth >= limit {
			depth = limit - 1
			for count[depth] == 0 {
				depth--
			}
		}
		count[depth]--
		count[depth+1] += 2
	}
	i := 0
	for l := limit; l > 0; l-- {
		for range count[l] {
			lens[keys[i]&511] = uint8(l)
			i++
		}
	}
}

// sorted returns the symbols that occur, the rarest first, as keys.
func (b *codeBuilder) sorted(freq []uint16) []uint32 {
	n, most := 0, uint16(0)
	dst := &b.keys[0]
	for s, f := range freq {
		if f != 0 {
			dst[n] = uint32(f)<<9 | uint32(s)
			n++
			most = max(most, f)
		}
	}
	keys := dst[:n]
	if n < 2 {
		return keys
	}
	// Radix sort by the low byte of the frequency, and the high one if needed.
	keys = b.sortByte(b.keys[1][:n], keys, 9, min(int(most), 255))
	if most > 255 {
		keys = b.sortByte(b.keys[0][:n], keys, 17, int(most>>8))
	}
	return keys
}

// sortByte copies src to dst, in the order of the bytes at shift, none of
// which is above most.
func (b *codeBuilder) sortByte(dst, src []uint32, shift uint, most int) []uint32 {
	count := b.count[:most+1]
	clear(count)
	for _, k := range src {
		count[k>>shift&255]++
	}
	sum := uint16(0)
	for i, c := range count {
		count[i] = sum
		sum += c
	}
	for _, k := range src {
		c := &count[k>>shift&255]
		dst[*c] = k
		*c++
	}
	return dst
}

// tree sets nodes[:len(keys)-1] to the depths of the inner nodes of a Huffman
// tree, the root last, none before its parent from there (Moffat and
// Katajainen, "In-place calculation of minimum-redundancy codes", 1995).
func (b *codeBuilder) tree(keys []uint32) {
	n := len(keys)
	nodes := b.nodes[:n]
	// nodes[inner:next] are the weights of trees that wait for a parent, in
	// ascending order as are the leaves keys[leaf:]; nodes[:inner] tell parents.
	inner, leaf := 0, 0
	for next := range n - 1 {
		weight := uint32(0)
		for range 2 {
			if leaf < n && (inner == next || keys[leaf]>>9 <= nodes[inner]) {
				weight += keys[leaf] >> 9
				leaf++
			} else {
				weight += nodes[inner]
				nodes[inner] = uint32(next)
				inner++
			}
		}
		nodes[next] = weight
	}
	nodes[n-2] = 0
	for i := n - 3; i >= 0; i-- {
		nodes[i] = nodes[nodes[i]] + 1
	}
}

// assign sets codes to the canonical code with these lengths (RFC 1951,
// section 3.2.2). Codes of symbols without a length stay what they are.
func assignCodes(codes []sendCode, lens []uint8) {
	var count, next [maxCodeBits + 1]uint16
	for _, l := range lens {
		count[l]++
	}
	code := uint16(0)
	for l := 1; l < maxCodeBits; l++ {
		code = (code + count[l]) << 1
		next[l+1] = code
	}
	codes = codes[:len(lens)]
	for s := 0; s < len(lens); s++ {
		if s+8 <= len(lens) && binary.LittleEndian.Uint64(lens[s:]) == 0 {
			s += 7
			continue
		}
		if l := lens[s]; l != 0 {
			codes[s] = sendCode(bits.Reverse16(next[l])>>(16-l))<<4 | sendCode(l)
			next[l]++
		}
	}
}
