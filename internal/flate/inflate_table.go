package flate

import (
	"math/bits"
	"sync"
)

// An entry of a decoding table describes the symbol at the beginning of the bits that
// are its index:
//
//	  31      30 … 16    15      14      13       12    11 … 8      7 6     5 … 0
//	+-------+---------+-------+-----+-------+--------+---------+-------+----------+
//	|literal|  value  |special|table|invalid| window |code bits|   0   |total bits|
//	+-------+---------+-------+-----+-------+--------+---------+-------+----------+
//
// value is a literal, or the base of a length, of a distance or of the count of a
// repeated code length. total bits is the number of bits of the code and of the extra
// bits after it. special is set for other entries: a further table (then value is
// its beginning, code bits the logarithm of its size and total bits those of this
// table's index), an invalid symbol (perhaps only because the window is smaller) or
// the end of the block.
const (
	entryLiteral = 1 << 31
	entrySpecial = 1 << 15
	entryTable   = 1 << 14
	entryInvalid = 1 << 13
	entryWindow  = 1 << 12

	entryValue = 16    // shift
	entryCode  = 8     // shift
	entryLen   = 0x101 // times the length of a code: its code bits and total bits
	entryTotal = 63    // mask
)

// The number of bits that index the first table. A further table of 1<<m entries
// holds m+1 codes or more, so that no code needs more than (1<<m)/(m+1) entries,
// with m up to the maximum length less the bits of the first table.
const (
	litLenBits  = 10
	litLenSize  = 1<<litLenBits + numLitLen*(1<<(maxCodeBits-litLenBits))/(maxCodeBits-litLenBits+1)
	distBits    = 8
	distSize    = 1<<distBits + numDist*(1<<(maxCodeBits-distBits))/(maxCodeBits-distBits+1)
	codeLenBits = 7 // no code length code is longer
)

type (
	litLenTable [litLenSize]uint32
	distTable   [distSize]uint32
)

// The entries of all symbols, without the lengths of their codes.
var (
	litLenEntries = func() (entries [numLitLen + 2]uint32) {
		for sym := range entries {
			switch {
			case sym < endOfBlock:
				entries[sym] = entryLiteral | uint32(sym)<<entryValue
			case sym == endOfBlock:
				entries[sym] = entrySpecial
			case sym < numLitLen:
				n := sym - endOfBlock - 1
				entries[sym] = uint32(lengthBase[n])<<entryValue | uint32(lengthExtra[n])
			default:
				entries[sym] = entrySpecial | entryInvalid
			}
		}
		return entries
	}()

	// By windowBits. The distances of a symbol are all within a window, or
	// none is: the largest distance of each second symbol is a power of two.
	distEntries = func() (entries [MaxWindowBits + 1][numDist + 2]uint32) {
		for windowBits := MinWindowBits; windowBits <= MaxWindowBits; windowBits++ {
			for sym := range numDist + 2 {
				e := uint32(entrySpecial | entryInvalid)
				switch {
				case sym < 2*windowBits:
					e = uint32(distBase[sym])<<entryValue | uint32(distExtra[sym])
				case sym < numDist:
					e |= entryWindow
				}
				entries[windowBits][sym] = e
			}
		}
		return entries
	}()

	codeLenEntries = func() (entries [numCodeLen]uint32) {
		for sym := range entries {
			entries[sym] = uint32(sym) << entryValue
		}
		entries[repeatLast] |= 2
		entries[repeatZero] |= 3
		entries[repeatZeroLong] |= 7
		return entries
	}()
)

// The tables of fixed blocks (section 3.2.6), made on first use.
var (
	fixedLitLen = sync.OnceValue(func() *litLenTable {
		var lens [numLitLen + 2]uint8
		for sym := range lens {
			switch {
			case sym < 144:
				lens[sym] = 8
			case sym < 256:
				lens[sym] = 9
			case sym < 280:
				lens[sym] = 7
			default:
				lens[sym] = 8
			}
		}
		t := new(litLenTable)
		inflateTable(t[:], litLenBits, lens[:], litLenEntries[:], false)
		return t
	})

	fixedDist = func() (tables [MaxWindowBits + 1]func() *distTable) { // by windowBits
		for windowBits := range tables {
			tables[windowBits] = sync.OnceValue(func() *distTable {
				var lens [numDist + 2]uint8
				for sym := range lens {
					lens[sym] = 5
				}
				t := new(distTable)
				inflateTable(t[:], distBits, lens[:], distEntries[windowBits][:], false)
				return t
			})
		}
		return tables
	}()
)

// inflateTable makes the table for a code. lens are the lengths and entries the
// symbols of the code; tableBits bits index the first table. It reports whether the
// code is complete or, with degenerate, has at most one code of one bit, which zlib
// accepts, too.
func inflateTable(table []uint32, tableBits uint, lens []uint8, entries []uint32, degenerate bool) bool {
	// Neighbours are often equal, and adding to the same counter again and again
	// would stall.
	var counts [4][maxCodeBits + 1]uint16
	for i, n := range lens {
		counts[i&3][n&maxCodeBits]++
	}
	var count [maxCodeBits + 1]uint16
	for n := range count {
		count[n] = counts[0][n] + counts[1][n] + counts[2][n] + counts[3][n]
	}
	var next [maxCodeBits + 2]uint16 // by length: index of its first symbol in sorted
	space := 1                       // number of free codes of this length
	longest := uint(0)
	for n := 1; n <= maxCodeBits; n++ {
		next[n+1] = next[n] + count[n]
		space = space<<1 - int(count[n])
		if space < 0 {
			return false
		}
		if count[n] > 0 {
			longest = uint(n)
		}
	}
	if space > 0 {
		return degenerate && longest <= 1 && inflateDegenerate(table[:1<<tableBits], lens, entries)
	}
	var sorted [numLitLen + 2]uint16
	for sym, n := range lens {
		if n != 0 {
			sorted[next[n&maxCodeBits]] = uint16(sym)
			next[n&maxCodeBits]++
		}
	}

	// Codes are sent highest bit first and the table is indexed lowest bit
	// first, so code is kept reversed. A table for codes of up to n bits
	// becomes one for n+1 bits by a copy of it after itself. Entries that are
	// not set yet will be set, since the code is complete.
	code := 0
	syms := sorted[:]
	first := true
	for n := uint(1); n <= tableBits; n++ {
		if !first {
			copy(table[1<<(n-1):1<<n], table[:1<<(n-1)])
		}
		for _, sym := range syms[:count[n]] {
			table[code] = entries[sym] + uint32(n)*entryLen
			code = nextCode(code, n)
			first = false
		}
		syms = syms[count[n]:]
	}

	prefix, begin, size := -1, 0, uint(0) // of the further table being filled
	end := 1 << tableBits
	for n := tableBits + 1; n <= longest; n++ {
		for left := int(count[n]); left > 0; left-- {
			if p := code & (1<<tableBits - 1); p != prefix {
				prefix, begin, size = p, end, n-tableBits
				for filled := left; filled < 1<<size; {
					size++
					filled = filled<<1 + int(count[tableBits+size])
				}
				end += 1 << size
				table[prefix] = entrySpecial | entryTable | uint32(begin)<<entryValue | uint32(size)<<entryCode | uint32(tableBits)
			}
			entry := entries[syms[0]] + uint32(n-tableBits)*entryLen
			syms = syms[1:]
			for i := begin + code>>tableBits; i < end; i += 1 << (n - tableBits) {
				table[i] = entry
			}
			code = nextCode(code, n)
		}
	}
	return true
}

// nextCode returns the code that follows one of n bits, both reversed: adding
// to it clears the ones at its high end and sets the zero below them.
func nextCode(code int, n uint) int {
	zeros := uint(code) ^ (1<<n - 1)
	if zeros == 0 {
		return 0 // that was the last one
	}
	bit := 1 << (bits.Len(zeros) - 1)
	return code&(bit-1) | bit
}

// inflateDegenerate fills a table with the only code, 0, if there is one.
func inflateDegenerate(table []uint32, lens []uint8, entries []uint32) bool {
	for i := range table {
		table[i] = entrySpecial | entryInvalid | entryLen
	}
	for sym, n := range lens {
		if n != 0 {
			for i := 0; i < len(table); i += 2 {
				table[i] = entries[sym] + entryLen
			}
		}
	}
	return true
}
