//go:build linux

package load

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// script holds the batches that every connection sends in turn, again and again from
// the beginning.
type script struct {
	messages [][]byte // payloads, uncompressed
	batches  [][]byte // the same, as frames, so many at a time as may be in flight
}

// plainScript is a single batch of messages.
func plainScript(size, depth int) *script {
	s := &script{messages: numbered(size, depth, 0)}
	s.batches = [][]byte{frames(finBit|opBinary, s.messages)}
	return s
}

// recordSize is how much of a batch of so many messages goes into a TLS record.
func (r *runner) recordSize(batch []byte, messages int) int {
	if !r.Records {
		return 0
	}
	return len(batch) / messages // all have the same size
}

// frames encodes messages for one write.
func frames(first byte, messages [][]byte) []byte {
	var b []byte
	for i, m := range messages {
		key := [4]byte{0x9e, 0x37, byte(i), 0xb9 ^ byte(i>>8)}
		b = appendFrame(b, first, key, m)
	}
	return b
}

// numbered makes messages that differ from each other and, by the number,
// from those of other connections.
func numbered(size, count int, number uint64) [][]byte {
	messages := make([][]byte, count)
	for i := range messages {
		m := make([]byte, size)
		x := number<<20 + uint64(i) + 1
		for at := 0; at < size; at += 8 {
			x = x*6364136223846793005 + 1442695040888963407
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], x^x>>29)
			copy(m[at:], word[:])
		}
		messages[i] = m
	}
	return messages
}

// ring is how many different messages a compressed script has. They must be larger
// than a window of 32 KiB, or every message would find itself in the window.
const ring = 256

// deflateScript is a ring of JSON messages, one per batch. Each is compressed
// with the history that the server has at that point, of up to window bytes. The
// first message refers to no other, and each other one refers only to earlier ones of
// the same round, so the ring can be closed.
func deflateScript(size, window int) (*script, error) {
	s := &script{messages: JSONMessages(size, ring)}
	var history []byte
	for i, m := range s.messages {
		dict := history[max(0, len(history)-max(0, window-size)):]
		if window == 0 {
			dict = nil
		}
		data, err := deflate(m, dict)
		if err != nil {
			return nil, err
		}
		key := [4]byte{byte(i), 0x5a, 0xc3, 0x77}
		s.batches = append(s.batches, appendFrame(nil, finBit|rsv1Bit|opText, key, data))
		history = append(history, m...)
	}
	return s, nil
}

// deflate compresses a message as RFC 7692, section 7.2.1 says. The library of
// Go always looks back 32 KiB; it is not given older bytes.
func deflate(message, dict []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, flate.DefaultCompression, dict)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(message); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff}), nil
}

// before returns the last bytes before the nth message, up to the size of the window.
func (s *script) before(n, window int) []byte {
	var history []byte
	size := len(s.messages[0])
	for i := max(0, n-window/size-1); i < n; i++ {
		history = append(history, s.messages[i%len(s.messages)]...)
	}
	return history[max(0, len(history)-window):]
}

// takenOver is the history, in bytes, that a side ("client" or "server") may
// use after this answer to an offer of permessage-deflate.
func takenOver(extensions, side string) (int, error) {
	window := 32 << 10
	for param := range strings.SplitSeq(extensions, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch name {
		case side + "_no_context_takeover":
			return 0, nil
		case side + "_max_window_bits":
			bits, err := strconv.Atoi(strings.Trim(value, `"`))
			if err != nil || bits < 8 || bits > 15 {
				return 0, fmt.Errorf("the server answers %q", extensions)
			}
			window = 1 << bits
		}
	}
	return window, nil
}
