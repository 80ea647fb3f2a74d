// Package feed is the server of cmd/polling: topics that get an update now and
// then, for clients that fetch it in one way or another.
//
// Each topic has one client in the benchmark. The updates of all topics are
// spread evenly over the time between two of the same topic, so the server is
// woken for each of them: no transport profits from sending one update to many
// clients at once.
package feed

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// FirstTopic is the name of the first topic; MaxTopics bounds their number.
// Their names all have four digits, so that all requests have the same length.
const (
	FirstTopic = 1000
	MaxTopics  = 9000
)

// FirstSeq is the number for a client that has seen no update: the updates of a topic
// are numbered from the next on. All numbers have five digits.
const FirstSeq = 10000

// MinSize and MaxSize bound the size of an update, in bytes.
const (
	MinSize = 100
	MaxSize = 64 << 10
)

// appendUpdate appends an update: a JSON object of exactly size bytes.
func appendUpdate(dst []byte, topic, seq int, at time.Time, size int) []byte {
	start := len(dst)
	bid := 10000 + rand.IntN(80000)
	ask := bid + 1 + rand.IntN(9)
	dst = fmt.Appendf(dst, `{"topic":%d,"seq":%d,"at":%d,"bid":%d.%02d,"ask":%d.%02d,"volume":%d,"note":"`,
		topic, seq, at.UnixMicro(), bid/100, bid%100, ask/100, ask%100, 100*(1000+rand.IntN(9000)))
	for len(dst)-start < size-len(`"}`) {
		dst = append(dst, '.')
	}
	return append(dst, `"}`...)
}

// Update holds the fields of an update that a client needs.
type Update struct {
	Topic int
	Seq   int
	At    time.Time // when it was made, in microseconds
}

// ParseUpdate reads an update.
func ParseUpdate(text []byte) (Update, error) {
	var n [3]int
	rest := text
	for i, key := range []string{`{"topic":`, `"seq":`, `"at":`} {
		value, ok := bytes.CutPrefix(rest, []byte(key))
		if !ok {
			return Update{}, fmt.Errorf("no update: %.100q", text)
		}
		value, rest, _ = bytes.Cut(value, []byte(","))
		var err error
		if n[i], err = strconv.Atoi(string(value)); err != nil {
			return Update{}, fmt.Errorf("no update: %.100q", text)
		}
	}
	if !bytes.HasSuffix(text, []byte(`"}`)) {
		return Update{}, fmt.Errorf("half an update: %.100q", text)
	}
	return Update{n[0], n[1], time.UnixMicro(int64(n[2]))}, nil
}
