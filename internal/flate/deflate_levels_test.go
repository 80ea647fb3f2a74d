package flate

import (
	"bytes"
	"testing"
)

// levelCorpora are what levels are compared with.
func levelCorpora() map[string][][]byte {
	corpora := map[string][][]byte{
		"messages of JSON":       jsonCorpus(1024, 100),
		"short messages of JSON": jsonCorpus(500, 100),
		"messages of text":       cut(textCorpus(60000), 1000),
		"short messages of text": cut(textCorpus(40000), 200),
		"snapshots":              snapshotCorpus(24<<10, 40),
		"snapshots, short":       snapshotCorpus(3<<10, 40),
	}
	for _, c := range append(smallCorpora(), largeCorpora()...) {
		corpora[c.name] = append(corpora[c.name], c.data)
	}
	return corpora
}

// encodedSize returns the size of the messages after compression.
func encodedSize(level, windowBits int, takeover bool, messages [][]byte) int {
	e := NewEncoder(level, windowBits, takeover)
	size := 0
	for _, p := range messages {
		size += len(e.Encode(nil, p, true))
	}
	return size
}

// No level is larger than the one below, on any corpus. A thousandth is allowed:
// where two levels find nearly the same matches, chance decides about some bytes,
// such as where a block ends.
func TestLevels(t *testing.T) {
	if encodeRaced {
		t.Skip("slow")
	}
	for name, messages := range levelCorpora() {
		for _, takeover := range []bool{false, true} {
			below := encodedSize(1, MaxWindowBits, takeover, messages)
			for level := 2; level <= 9; level++ {
				size := encodedSize(level, MaxWindowBits, takeover, messages)
				most := below + max(below/1000, 1)
				if name == "short messages of text" {
					// Few matches save less than the description of their codes takes.
					most = below + below/200
				}
				if size > most {
					t.Errorf("%s, takeover %v: %d bytes at level %d, %d at the level below", name, takeover, size, level, below)
				}
				below = size
			}
		}
	}
}

// Each level gains something for its time.
func TestLevelsDiffer(t *testing.T) {
	if encodeRaced {
		t.Skip("slow")
	}
	for _, takeover := range []bool{false, true} {
		below := 0
		for level := 1; level <= 9; level++ {
			size := encodedSize(level, MaxWindowBits, takeover, jsonCorpus(1024, 100))
			size += encodedSize(level, MaxWindowBits, takeover, [][]byte{bytes.Join(jsonCorpus(1024, 64), nil)})
			size += encodedSize(level, MaxWindowBits, takeover, [][]byte{textCorpus(1 << 16)})
			if level > 1 && size >= below {
				t.Errorf("takeover %v: %d bytes at level %d, %d at the level below", takeover, size, level, below)
			}
			below = size
		}
	}
}

// A snapshot of which little has changed is sent again: its bytes go on at the
// same distance.
func TestLevelsSnapshot(t *testing.T) {
	snapshots := snapshotCorpus(24<<10, 40)
	for level := 2; level <= 9; level++ {
		if size := encodedSize(level, MaxWindowBits, true, snapshots); size > 29000 {
			t.Errorf("level %d: %d bytes", level, size)
		}
	}
}

// The result does not depend on how many other connections send in between, as
// reading ahead does.
func TestEncodeTurns(t *testing.T) {
	messages := jsonCorpus(1024, 60)
	for level := 1; level <= 9; level++ {
		for _, windowBits := range []int{8, 12, 15} {
			alone := NewEncoder(level, windowBits, true)
			turns := make([]*encoderTest, 3*preloadAfter)
			for i := range turns {
				turns[i] = newEncoderTest(t, level, windowBits, true)
			}
			for _, p := range messages {
				want := alone.Encode(nil, p, true)
				for _, et := range turns {
					et.sent = 0
					et.message(p)
					if et.sent != len(want) || !bytes.HasSuffix(et.stream, append(want, 0, 0, 0xff, 0xff)) {
						et.fatalf("%d bytes, and %d alone", et.sent, len(want))
					}
				}
			}
		}
	}
}
