package main

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// unhex decodes bytes that are written as hexadecimal words.
func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var incoming = []struct {
	hex string
	msg interface{ append([]byte) []byte }
}{
	{"81 03 00 416461", join{3, false, "Ada"}},
	{"81 0b 01 c3a9", join{11, true, "é"}},
	{"81 00 00 f09f8e8f", join{0, false, "🎏"}},
	{"82 01 40 ff 01", steer{1, steering{64, 255, true}}},
	{"82 00 00 00 00", steer{}},
	{"83 01020304", ping{0x01020304}},
}

var outgoing = []struct {
	hex string
	msg interface{ append([]byte) []byte }
}{
	{"01 01 1e", hello{30}},
	{"02 fa", welcome{250}},
	{"03 00", roster{}},
	{"03 02 01 02 03 416461 fa 8b 02 c3a9", roster{{1, 2, false, "Ada"}, {250, 11, true, "é"}}},
	{"04 00000007 00 00", &snapshot{tick: 7}},
	{"04 fffefdfc 02 01" +
		"01 8000 8000 0000 0000 00 0000 00 00 00" +
		"02 8018 0010 fff8 7ff0 ff ffff 2d 85 fe" +
		"80 7f 05",
		&snapshot{
			tick: 0xfffefdfc,
			koi: []koiState{
				{id: 1},
				{2, body{1.5, -2047, -0.5, 2047, 255, 65535, 45, 5}, true, 254},
			},
			crumbs: []crumb{{128, 127, 5}},
		}},
	{"05 01020304 00000005", pong{0x01020304, 5}},
}

func TestMessages(t *testing.T) {
	for _, c := range incoming {
		b := unhex(t, c.hex)
		if got := c.msg.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%+v is % x, want % x", c.msg, got, b)
		}
		if got, err := parseIncoming(b); err != nil || !reflect.DeepEqual(got, c.msg) {
			t.Errorf("% x is %+v, %v, want %+v", b, got, err, c.msg)
		}
		if len(b) > maxIncoming {
			t.Errorf("% x is longer than %d", b, maxIncoming)
		}
	}
	for _, c := range outgoing {
		b := unhex(t, c.hex)
		if got := c.msg.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%+v is % x, want % x", c.msg, got, b)
		}
		got, err := parseOutgoing(b, new(snapshot))
		if err != nil || !reflect.DeepEqual(got, c.msg) {
			t.Errorf("% x is %+v, %v, want %+v", b, got, err, c.msg)
		}
	}
}

// A message that is cut off, or goes on, is none. A name has no end of its own.
func TestLengths(t *testing.T) {
	check := func(b []byte, parse func([]byte) (any, error), open bool) {
		for n := range b {
			if msg, err := parse(b[:n]); err == nil && !open {
				t.Errorf("% x, the beginning of % x, is %+v", b[:n], b, msg)
			}
		}
		if msg, err := parse(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("% x 00 is %+v", b, msg)
		}
	}
	for _, c := range incoming {
		_, open := c.msg.(join)
		check(unhex(t, c.hex), parseIncoming, open)
	}
	for _, c := range outgoing {
		check(unhex(t, c.hex), func(b []byte) (any, error) { return parseOutgoing(b, new(snapshot)) }, false)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ what, hex, want string }{
		{"nothing", "", "length"},
		{"unknown kind", "80", "no message of kind 0x80"},
		{"server's message", "01 01 1e", "no message of kind 0x1"},
		{"text", "7b7d", "no message of kind 0x7b"},
		{"buttons", "82 01 00 00 02", "buttons 0x2"},
		{"flags", "81 00 02 41", "flags 0x2"},
		{"koi", "81 0c 00 41", "no koi 12"},
		{"no name", "81 00 00", "at least one"},
		{"long name", "81 00 00" + strings.Repeat("41", maxName+1), "at most 16"},
		{"not UTF-8", "81 00 00 ff", "UTF-8"},
		{"blank name", "81 00 00 20", "superfluous space"},
		{"space around", "81 00 00 4120", "superfluous space"},
		{"space inside", "81 00 00 41202041", "superfluous space"},
		{"tab", "81 00 00 410941", "superfluous space"},
		{"control character", "81 00 00 411b", "invisible"},
		{"zero width", "81 00 00 41e2808b", "invisible"},
		{"turned around", "81 00 00 41e280ae", "invisible"},
	} {
		if msg, err := parseIncoming(unhex(t, c.hex)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", c.what, msg, err, c.want)
		}
	}
	const koi = "8000 8000 0000 0000 00 0000 00 00 00"
	for _, c := range []struct{ what, hex, want string }{
		{"nothing", "", "length"},
		{"page's message", "83 00000000", "no message of kind 0x83"},
		{"version", "01 02 1e", "version 2, and we 1"},
		{"slow", "01 01 13", "19 ticks"},
		{"fast", "01 01 3d", "61 ticks"},
		{"no id", "02 00", "id 0"},
		{"high id", "02 fb", "id 251"},
		{"order of the roster", "03 02 02 00 01 41 01 00 01 41", "1 comes after 2"},
		{"twice in the roster", "03 02 02 00 01 41 02 00 01 41", "2 comes after 2"},
		{"koi in the roster", "03 01 02 0c 01 41", "no koi 12"},
		{"name in the roster", "03 01 02 00 01 20", "superfluous space"},
		{"fewer than announced", "03 02 01 00 01 41", "length"},
		{"order of the koi", "04 00000000 02 00 02" + koi + "01" + koi, "1 comes after 2"},
		{"koi without id", "04 00000000 01 00 00" + koi, "id 0"},
		{"out of the pond", "04 00000000 01 00 01 0000 8000 0000 0000 00 0000 00 00 00", "out of bounds"},
		{"too fast", "04 00000000 01 00 01 8000 8000 0000 8000 00 0000 00 00 00", "out of bounds"},
		{"worthless crumb", "04 00000000 00 01 01 02 00", "without value"},
	} {
		if msg, err := parseOutgoing(unhex(t, c.hex), new(snapshot)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", c.what, msg, err, c.want)
		}
	}
}

// The slices of a snapshot are used again, and nothing of the one before stays.
func TestSnapshotAgain(t *testing.T) {
	var s snapshot
	big := snapshot{koi: []koiState{{id: 1, shield: true, ack: 3}, {id: 2}}, crumbs: []crumb{{1, 2, 3}}}
	small := snapshot{tick: 9, koi: []koiState{{id: 5}}}
	for _, in := range []*snapshot{&big, &small, &big} {
		if err := s.parse(in.append(nil)[1:]); err != nil {
			t.Fatal(err)
		}
		if s.tick != in.tick || !reflect.DeepEqual(s.koi, in.koi) || len(s.crumbs) != len(in.crumbs) {
			t.Errorf("%+v has become %+v", in, s)
		}
	}
	b := big.append(nil)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.parse(b[1:]); err != nil {
			t.Fatal(err)
		}
		b = s.append(b[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A message that is accepted has one encoding.
func FuzzIncoming(f *testing.F) {
	for _, c := range incoming {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := parseIncoming(b)
		if err != nil {
			return
		}
		if again := msg.(interface{ append([]byte) []byte }).append(nil); !bytes.Equal(again, b) {
			t.Errorf("% x is %+v, which is % x", b, msg, again)
		}
		if len(b) > maxIncoming {
			t.Errorf("%d bytes are accepted", len(b))
		}
	})
}

func FuzzOutgoing(f *testing.F) {
	for _, c := range outgoing {
		f.Add(unhex(f, c.hex))
	}
	var s snapshot
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := parseOutgoing(b, &s)
		if err != nil {
			return
		}
		if again := msg.(interface{ append([]byte) []byte }).append(nil); !bytes.Equal(again, b) {
			t.Errorf("% x is %+v, which is % x", b, msg, again)
		}
	})
}
