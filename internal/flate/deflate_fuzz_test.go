package flate

import "testing"

// FuzzEncoder sends pieces of data as messages, parts of messages and messages
// that are taken back. ops tells what to do with how much.
func FuzzEncoder(f *testing.F) {
	for i, c := range smallCorpora() {
		f.Add(c.data, uint8(i), uint8(i*3), i%2 == 0, []byte{20, 0, 9, 1, 2, 2, 77, 0, 150, 1, 3, 3, 240, 2, 255, 0})
	}
	f.Fuzz(func(t *testing.T, data []byte, level, windowBits uint8, takeover bool, ops []byte) {
		et := newEncoderTest(t, 1+int(level%9), MinWindowBits+int(windowBits%8), takeover)
		if len(data) > 1<<15 || len(ops) > 64 {
			t.Skip()
		}
		at := 0
		for ; len(ops) >= 2; ops = ops[2:] {
			// The next piece, from the beginning again after the end.
			if at == len(data) {
				at = 0
			}
			size := min(len(data)-at, int(ops[0])*int(ops[0]>>4+1))
			p := data[at : at+size]
			switch op := ops[1]; op % 8 {
			case 0:
				et.undo(p)
				continue // with the same piece
			case 1:
				et.reset()
				continue
			case 2:
				et.message(p, size*int(op)/256)
			case 3:
				et.message(p, size*int(op)/512, size*int(op)/256, size)
			default:
				et.message(p)
			}
			at += size
		}
		et.message(data)
		et.finish()
	})
}
