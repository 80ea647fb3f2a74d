package flate

import "math/bits"

// A sendCode is a code word as it is sent, first bit lowest, shifted left by
// four, and its length in the low four bits.
type sendCode uint32

// alphabet is a set of symbols, the frequency of each in a block, and the prefix code
// made from the frequencies. The entries of symbols that do not occur are left over
// from other blocks.
type alphabet struct {
	freq  [numLitLen]uint16
	used  [numLitLen]uint32 // keys of the symbols that occur, by symbol
	nused int
	lens  [numLitLen]uint8
	count [maxCodeBits + 1]uint16 // code words by length
	code  [numLitLen]sendCode
}

// A key is frequency<<9 | symbol. codeBuilder is scratch for making codes.
type codeBuilder struct {
	keys  [2][numLitLen]uint32
	nodes [numLitLen]uint32
	count [256]uint16
}

// build gives the symbols that occur among the first size ones the lengths of
// an optimal prefix code, none above limit, and returns how many bits they
// take up in the block. Such a code must exist: nused <= 1<<limit. A single symbol
// gets one bit.
func (a *alphabet) build(b *codeBuilder, size, limit int) int {
	keys := b.sorted(a, size)
	n := len(keys)
	clear(a.count[:])
	a.count[1] = uint16(min(n, 2))
	if n > 2 {
		// A tree with only a root has two leaves at depth 1. Each other inner
		// node, from the top to the bottom, replaces a leaf by two that are one
		// deeper. A node that would be too deep is put below the deepest leaf that is
		// not at the limit instead.
		b.tree(keys)
		for i := n - 3; i >= 0; i-- {
			depth := int(b.nodes[i])
			if depth >= limit {
				depth = limit - 1
				for a.count[depth] == 0 {
					depth--
				}
			}
			a.count[depth&15]--
			a.count[(depth+1)&15] += 2
		}
	}
	size = 0
	for l := limit; l > 0; l-- {
		c := int(a.count[l])
		for _, k := range keys[:c] {
			a.lens[k&511] = uint8(l)
			size += int(k>>9) * l
		}
		keys = keys[c:]
	}
	return size
}

// sorted sets a.used and returns these symbols as keys, the rarest first.
func (b *codeBuilder) sorted(a *alphabet, size int) []uint32 {
	n, most := 0, uint32(0)
	for s, f := range a.freq[:size] {
		// No branch, since it is hard to predict which symbols occur.
		a.used[n] = uint32(f)<<9 | uint32(s)
		n += int((uint32(f) + 0xffff) >> 16)
		most = max(most, uint32(f))
	}
	a.nused = n
	if n < 2 {
		return a.used[:n]
	}
	// Radix sort by the low byte of the frequency, and the high one if needed.
	keys := b.sortByte(b.keys[0][:n], a.used[:n], 9, min(int(most), 255))
	if most > 255 {
		keys = b.sortByte(b.keys[1][:n], keys, 17, int(most>>8))
	}
	return keys
}

// sortByte copies src to dst, in the order of the bytes at shift. No such byte is
// above most.
func (b *codeBuilder) sortByte(dst, src []uint32, shift uint, most int) []uint32 {
	clear(b.count[:most+1])
	for _, k := range src {
		b.count[uint8(k>>(shift&31))]++
	}
	sum := uint16(0)
	for i, c := range b.count[:most+1] {
		b.count[i] = sum
		sum += c
	}
	for _, k := range src {
		c := &b.count[uint8(k>>(shift&31))]
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

// assign makes the canonical code with the lengths of the symbols that occur
// (RFC 1951, section 3.2.2).
func (a *alphabet) assign() {
	var next [maxCodeBits + 1]uint16
	code := uint16(0)
	for l := 1; l < maxCodeBits; l++ {
		code = (code + a.count[l]) << 1
		next[l+1] = code
	}
	for _, k := range a.used[:a.nused] {
		s := k & 511
		l := a.lens[s] & 15
		a.code[s] = sendCode(bits.Reverse16(next[l])>>((16-l)&15))<<4 | sendCode(l)
		next[l]++
	}
}
