package utf8

// state says which bytes may follow in a text. Its value is the position of the
// state's six bits in the entries of next.
type state uint8

const (
	between state = 6 * iota // no character is incomplete
	refused                  // the text is invalid
	need1                    // one more byte, 80..BF
	need2                    // two more bytes
	need3                    // three more
	afterE0                  // A0..BF, then one more: no overlong forms
	afterED                  // 80..9F, then one more: no surrogates
	afterF0                  // 90..BF, then two more: no overlong forms
	afterF4                  // 80..8F, then two more: nothing above U+10FFFF
	states  = iota
)

// next holds for each byte the next states, for all states at once: an entry shifted
// right by a state has the next state in its lowest six bits. So a byte costs one
// shift and no branch, for any text.
var next [256]uint64

// run returns the state that p leads to from s.
func (s state) run(p []byte) state {
	x := uint64(s)
	for len(p) >= 4 {
		x = next[p[0]] >> (x & 63)
		x = next[p[1]] >> (x & 63)
		x = next[p[2]] >> (x & 63)
		x = next[p[3]] >> (x & 63)
		p = p[4:]
	}
	for _, c := range p {
		x = next[c] >> (x & 63)
	}
	return state(x & 63)
}

// By the table of well-formed sequences in the Unicode standard (table 3-7).
func init() {
	for c := range next {
		next[c] = uint64(refused) * (1<<(6*states) - 1) / 63 // refused from all states
	}
	lead := func(from state, lo, hi int, to state) {
		for c := lo; c <= hi; c++ {
			next[c] = next[c]&^(63<<from) | uint64(to)<<from
		}
	}
	lead(between, 0x00, 0x7F, between)
	lead(between, 0xC2, 0xDF, need1)
	lead(between, 0xE0, 0xE0, afterE0)
	lead(between, 0xE1, 0xEF, need2)
	lead(between, 0xED, 0xED, afterED)
	lead(between, 0xF0, 0xF0, afterF0)
	lead(between, 0xF1, 0xF3, need3)
	lead(between, 0xF4, 0xF4, afterF4)
	lead(need1, 0x80, 0xBF, between)
	lead(need2, 0x80, 0xBF, need1)
	lead(need3, 0x80, 0xBF, need2)
	lead(afterE0, 0xA0, 0xBF, need1)
	lead(afterED, 0x80, 0x9F, need1)
	lead(afterF0, 0x90, 0xBF, need2)
	lead(afterF4, 0x80, 0x8F, need2)
}
