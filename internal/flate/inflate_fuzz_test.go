package flate

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// inflateFuzzFeed is a way to feed a message that depends on seed.
func inflateFuzzFeed(seed uint64) inflateFeed {
	rnd := rand.New(rand.NewPCG(seed, 8))
	sizes := func() func() int {
		if rnd.IntN(2) == 0 {
			return nil
		}
		return upTo(rnd, 1<<rnd.IntN(12))
	}
	f := inflateFeed{piece: sizes(), room: sizes(), late: rnd.IntN(2) == 0}
	if rnd.IntN(2) == 0 {
		f.save = 1 << rnd.IntN(12)
	}
	return f
}

// inflateAgainstOracle has d inflate payload and compares what comes out, the
// message and whether it is one, with what compress/flate makes of it.
func inflateAgainstOracle(t *testing.T, d *Decoder, before, payload []byte, seed uint64) (out []byte, ok bool) {
	windowBits := d.windowBits
	out, err := inflateFuzzFeed(seed).message(t, d, payload)
	want, wantOK := inflateOracle(before, payload)
	switch {
	case err == nil:
		if !wantOK || !bytes.Equal(out, want) {
			t.Fatalf("%x after %d bytes: %d bytes, want %d, error: %v", payload, len(before), len(out), len(want), !wantOK)
		}
	case wantOK && windowBits == MaxWindowBits:
		t.Fatalf("%x after %d bytes: %v, want %d bytes", payload, len(before), err, len(want))
	case len(out) <= len(want) && !bytes.HasPrefix(want, out):
		t.Fatalf("%x after %d bytes: %d bytes that differ from those of the oracle, then %v", payload, len(before), len(out), err)
	}
	return out, err == nil
}

// inflateSeeds adds messages of all kinds of blocks.
func inflateSeeds(add func(payload []byte)) {
	for _, data := range inflateCorpora(400) {
		for _, level := range []int{-2, 0, 1, 9} {
			add(newInflateDeflater(level).message(data[:100], data[100:]))
		}
	}
	add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"))
	add(new(inflateBits).fixed(1).literals("ab").end().align().stored(1, "c").fixed(1).match(4, 3).end().b)
	add(new(inflateBits).dynamic(inflateSparse(258, 'x', endOfBlock, 257), []uint8{1}).literals("x").match(3, 1).end().payload())
}

func FuzzDecoder(f *testing.F) {
	n := uint64(0)
	inflateSeeds(func(payload []byte) {
		n++
		f.Add(payload, n, uint8(n*7))
	})
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64, windowBits uint8) {
		if len(payload) > 4096 {
			return // compress/flate takes its time with what comes out
		}
		d := NewDecoder(MaxWindowBits-int(windowBits%16)/2, false)
		for range 2 { // what one message leaves behind must not change the next
			if _, ok := inflateAgainstOracle(t, d, nil, payload, seed); !ok {
				break
			}
		}
	})
}

// FuzzDecoderTakeover inflates the pieces of data as one message after the
// other. Those that a compressor made come first.
func FuzzDecoderTakeover(f *testing.F) {
	inflateSeeds(func(payload []byte) { f.Add(payload, uint64(len(payload)), uint16(len(payload))) })
	corpora := inflateCorpora(60_000)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, size uint16) {
		if len(data) > 4096 {
			return
		}
		rnd := rand.New(rand.NewPCG(seed, 9))
		d := NewDecoder(MaxWindowBits, true)
		deflater := newInflateDeflater(1 + rnd.IntN(9))
		text := corpora[[]string{"json", "repeated"}[rnd.IntN(2)]]
		var payloads [][]byte
		for rest := text[:min(int(size), len(text))]; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			payloads = append(payloads, deflater.message(rest[:n]))
			rest = rest[n:]
		}
		for range 4 {
			payloads = append(payloads, data)
			if n := rnd.IntN(1 + len(data)); rnd.IntN(2) == 0 {
				payloads = append(payloads, data[:n], data[n:])
			}
		}
		var before []byte
		for i, payload := range payloads {
			out, ok := inflateAgainstOracle(t, d, before, payload, seed+uint64(i))
			if !ok {
				return
			}
			before = append(before, out...)
			before = before[max(0, len(before)-1<<MaxWindowBits):]
		}
	})
}
