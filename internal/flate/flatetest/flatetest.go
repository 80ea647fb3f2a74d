// Package flatetest has an independent decoder, to test encoders.
package flatetest

import (
	"bytes"
	"errors"
	"fmt"
)

// An Inflater inflates messages as RFC 1951 describes, bit by bit, and refuses a
// message that a peer with its window could not inflate.
type Inflater struct {
	Window   int  // in bytes
	Takeover bool // messages refer to earlier ones

	Blocks   [3]int // number of blocks of each type
	Farthest int    // the greatest distance

	seen []byte // earlier output, to which the message may refer
	out  []byte // the message under way
	in   []byte
	bit  int // of in
}

const maxCodeBits = 15

var errRefused = errors.New("the slow inflater refuses it")

func refusal(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errRefused, fmt.Sprintf(format, args...))
}

// Part inflates the result of one call of Encode. It returns the whole message if
// this was the last part.
func (s *Inflater) Part(in []byte, last bool) (message []byte, err error) {
	if last {
		in = append(bytes.Clone(in), 0, 0, 0xff, 0xff)
	}
	s.in, s.bit = in, 0
	defer func() {
		if e, ok := recover().(error); ok {
			if !errors.Is(e, errRefused) {
				panic(e)
			}
			err = e
		}
	}()
	for empty := false; !empty || s.bit < 8*len(in); {
		empty = s.block()
	}
	if !bytes.HasSuffix(in, []byte{0, 0, 0xff, 0xff}) {
		return nil, refusal("does not end with an empty stored block")
	}
	if last {
		message, s.out = s.out, nil
		if !s.Takeover {
			s.seen = nil
		}
	}
	return message, nil
}

// Forget forgets earlier output, as Reset of an encoder does.
func (s *Inflater) Forget() { s.seen, s.out = nil, nil }

func (s *Inflater) bits(n int) int {
	v := 0
	for i := range n {
		if s.bit == 8*len(s.in) {
			panic(refusal("ends too early"))
		}
		v |= int(s.in[s.bit/8]>>(s.bit%8)&1) << i
		s.bit++
	}
	return v
}

func (s *Inflater) literal(c byte) {
	s.seen = append(s.seen, c)
	s.out = append(s.out, c)
}

// block inflates one block and reports whether it is an empty stored block.
func (s *Inflater) block() bool {
	if s.bits(1) != 0 {
		panic(refusal("a final block"))
	}
	typ := s.bits(2)
	switch typ {
	case 0:
		for s.bit%8 != 0 {
			if s.bits(1) != 0 {
				panic(refusal("padding is not 0"))
			}
		}
		n := s.bits(16)
		if s.bits(16) != n^0xffff {
			panic(refusal("length of a stored block"))
		}
		for range n {
			s.literal(byte(s.bits(8)))
		}
		if n == 0 {
			return true
		}
	case 1:
		var lens []uint8
		for _, r := range []struct{ n, bits int }{{144, 8}, {112, 9}, {24, 7}, {8, 8}} {
			lens = append(lens, bytes.Repeat([]byte{uint8(r.bits)}, r.n)...)
		}
		s.symbols(newSlowCode(lens, true), newSlowCode(bytes.Repeat([]byte{5}, 32), true))
	case 2:
		s.symbols(s.dynamic())
	default:
		panic(refusal("block type 3"))
	}
	s.Blocks[typ]++
	return false
}

// slowCode is a canonical code: for each length, the symbols with code words of that
// length, and the first of these code words.
type slowCode [maxCodeBits + 1]struct {
	first int
	syms  []int
}

// newSlowCode makes a code. The code has to be complete, or, if strict is not set, to
// have one code word of one bit.
func newSlowCode(lens []uint8, strict bool) *slowCode {
	code, next, room, used := new(slowCode), 0, 1<<maxCodeBits, 0
	for l := 1; l <= maxCodeBits; l++ {
		next <<= 1
		code[l].first = next
		for sym, n := range lens {
			if int(n) == l {
				code[l].syms = append(code[l].syms, sym)
				next++
				used++
				room -= 1 << (maxCodeBits - l)
			}
		}
	}
	if room != 0 && (strict || used != 1 || room != 1<<(maxCodeBits-1)) {
		panic(refusal("code lengths %v leave %d", lens, room))
	}
	return code
}

func (s *Inflater) symbol(code *slowCode) int {
	word := 0
	for l := 1; l <= maxCodeBits; l++ {
		word = word<<1 | s.bits(1)
		if i := word - code[l].first; i < len(code[l].syms) {
			return code[l].syms[i]
		}
	}
	panic(refusal("unknown code word"))
}

func (s *Inflater) dynamic() (lit, dist *slowCode) {
	nlit, ndist, ncode := 257+s.bits(5), 1+s.bits(5), 4+s.bits(4)
	if nlit > 286 || ndist > 30 {
		panic(refusal("%d and %d codes", nlit, ndist))
	}
	order := []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	codeLens := make([]uint8, 19)
	for _, i := range order[:ncode] {
		codeLens[i] = uint8(s.bits(3))
	}
	code := newSlowCode(codeLens, true)
	var lens []uint8
	for len(lens) < nlit+ndist {
		sym := s.symbol(code)
		repeat := 1
		value := uint8(sym)
		switch sym {
		case 16:
			if len(lens) == 0 {
				panic(refusal("nothing to repeat"))
			}
			repeat, value = 3+s.bits(2), lens[len(lens)-1]
		case 17:
			repeat, value = 3+s.bits(3), 0
		case 18:
			repeat, value = 11+s.bits(7), 0
		}
		lens = append(lens, bytes.Repeat([]byte{value}, repeat)...)
	}
	if len(lens) > nlit+ndist || lens[256] == 0 {
		panic(refusal("code lengths"))
	}
	return newSlowCode(lens[:nlit], true), newSlowCode(lens[nlit:], false)
}

func (s *Inflater) symbols(lit, dist *slowCode) {
	for {
		sym := s.symbol(lit)
		if sym < 256 {
			s.literal(byte(sym))
			continue
		}
		if sym == 256 {
			return
		}
		// Section 3.2.5, computed in another way than by the tables.
		length := 258
		if sym -= 257; sym < 8 {
			length = 3 + sym
		} else if sym < 28 {
			length = 3 + (4+sym%4)<<(sym/4-1) + s.bits(sym/4-1)
		} else if sym > 28 {
			panic(refusal("length symbol"))
		}
		d := s.symbol(dist)
		if d > 29 {
			panic(refusal("distance symbol"))
		}
		distance := 1 + d
		if d >= 4 {
			distance = 1 + (2+d%2)<<(d/2-1) + s.bits(d/2-1)
		}
		if distance > s.Window || distance > len(s.seen) {
			panic(refusal("distance %d of a window of %d and %d bytes", distance, s.Window, len(s.seen)))
		}
		s.Farthest = max(s.Farthest, distance)
		for range length {
			s.literal(s.seen[len(s.seen)-distance])
		}
	}
}
