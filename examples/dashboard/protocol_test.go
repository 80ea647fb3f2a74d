package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want any // or what the error says
	}{
		{"81 3ff8000000000000", ping{1.5}},
		{"81 0000000000000000", ping{0}},
		{"81 c059000000000000", ping{-100}},
		{"82 00 00000000", settings{keepLatest, 0}},
		{"82 01 00003e80", settings{queueAll, 16000}},
		{"82 00 000007d0", settings{keepLatest, minRate}},
		{"82 00 00989680", settings{keepLatest, maxRate}},

		{"", "an empty message"},
		{"00", "unknown kind 0"},
		{"01", "unknown kind 1"},
		{"83 00", "unknown kind 131"},
		{"81", "ping: 1 bytes, not 9"},
		{"81 3ff80000000000", "ping: 8 bytes, not 9"},
		{"81 3ff8000000000000 00", "ping: 10 bytes, not 9"},
		{"81 7ff0000000000000", "no number"},
		{"81 fff0000000000000", "no number"},
		{"81 7ff8000000000000", "no number"},
		{"82", "settings: 1 bytes, not 6"},
		{"82 00 000000", "settings: 5 bytes, not 6"},
		{"82 00 00000000 00", "settings: 7 bytes, not 6"},
		{"82 02 00000000", "unknown policy 2"},
		{"82 ff 00000000", "unknown policy 255"},
		{"82 00 00000001", "a rate of 1 bytes per second"},
		{"82 00 000007cf", "a rate of 1999 bytes per second"},
		{"82 00 00989681", "a rate of 10000001 bytes per second"},
		{"82 00 ffffffff", "a rate of 4294967295 bytes per second"},
	} {
		got, err := parse(unhex(t, c.in))
		if text, ok := c.want.(string); ok {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v, %v; want an error with %q", c.in, got, err, text)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%q: %v, %v; want %v", c.in, got, err, c.want)
		}
	}
}

// FuzzParse: an accepted message is encoded as the same bytes.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "81 3ff8000000000000", "82 01 00003e80", "82 00 00000000", "83"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := parse(b)
		if err != nil {
			// The reason goes into a close frame.
			if in := err.Error(); len(in) > 123 {
				t.Fatalf("%q is too long for a close frame", in)
			}
			return
		}
		var again []byte
		switch in := in.(type) {
		case ping:
			again = appendFloat([]byte{kindPing}, in.t)
		case settings:
			again = binary.BigEndian.AppendUint32([]byte{kindSettings, byte(in.policy)}, uint32(in.rate))
		}
		if string(again) != string(b) {
			t.Fatalf("% x is %#v, which is % x", b, in, again)
		}
	})
}

// The server's messages match protocol.go byte by byte.
func TestAppend(t *testing.T) {
	h := &hello{
		now: 1.5, rate: 60, sectors: []string{"Ore", "Öl"}, every: 2000, until: -2.5,
		instruments: []listing{
			{"ABC", "A Bé", 1, 2, 300, []uint32{300, 299, 363, 363}},
			{"XYZ", "", 0, 4, math.MaxUint32, nil},
			{"MAX", "M", 0, 0, 1, []uint32{math.MaxUint32, 1}},
		},
	}
	tr := &trade{0x0102, 0x03040506, 1.5, 10, 20, 5, math.MaxUint32}
	r := &report{1.5, -2.5, settings{queueAll, 16000}, 1, 2, 3, 4, 5}
	const f15, f25 = "3ff8000000000000", "c004000000000000"
	for _, c := range []struct{ got, want string }{
		{string(h.append(nil)), "01 01" + f15 + "003c 02 03 4f7265 03 c3966c 07d0" + f25 + "0003" +
			"03 414243 05 412042c3a9 01 02 0000012c 0004 d804 01 8001 00" +
			"03 58595a 00 00 04 ffffffff 0000" +
			"03 4d4158 01 4d 00 00 00000001 0002 feffffff1f fbffffff1f"},
		{string(tr.append(nil)), "02 0102 03040506" + f15 + "0000000a 00000014 00000005 ffffffff"},
		{string(r.append(nil)), "03" + f15 + f25 + "01 00003e80" +
			"3ff0000000000000 4000000000000000 4008000000000000 00000004 00000005"},
	} {
		if want := unhex(t, c.want); c.got != string(want) {
			t.Errorf("got  % x\nwant % x", c.got, want)
		}
	}
	if n := len(tr.append(nil)); n != tradeSize {
		t.Errorf("a trade has %d bytes", n)
	}
	if n := len(r.append(nil)); n != reportSize {
		t.Errorf("a report has %d bytes", n)
	}
}

// The parts of a message that come from the server, for clients in tests. They
// are as strict as the page is.

func parseTrade(b []byte) (t trade, err error) {
	if len(b) != tradeSize || b[0] != kindTrade {
		return t, fmt.Errorf("% x is no trade", b)
	}
	e := binary.BigEndian
	t = trade{
		id: int(e.Uint16(b[1:])), seq: e.Uint32(b[3:]), time: math.Float64frombits(e.Uint64(b[7:])),
		price: e.Uint32(b[15:]), high: e.Uint32(b[19:]), low: e.Uint32(b[23:]), volume: e.Uint32(b[27:]),
	}
	if t.low == 0 || t.price < t.low || t.price > t.high || math.IsNaN(t.time) {
		err = fmt.Errorf("trade %+v", t)
	}
	return t, err
}

func parseReport(b []byte) (r report, err error) {
	if len(b) != reportSize || b[0] != kindReport {
		return r, fmt.Errorf("% x is no report", b)
	}
	e := binary.BigEndian
	f := func(at int) float64 { return math.Float64frombits(e.Uint64(b[at:])) }
	return report{
		echo: f(1), now: f(9), settings: settings{policy(b[17]), int(e.Uint32(b[18:]))},
		sent: uint64(f(22)), conflated: uint64(f(30)), dropped: uint64(f(38)),
		pending: int(e.Uint32(b[46:])), buffered: int(e.Uint32(b[50:])),
	}, nil
}

// parseHello parses all of it, and checks that nothing is behind it.
func parseHello(b []byte) (h hello, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("hello: %v", r)
		}
	}()
	take := func(n int) []byte {
		p := b[:n]
		b = b[n:]
		return p
	}
	e := binary.BigEndian
	u8 := func() int { return int(take(1)[0]) }
	u16 := func() int { return int(e.Uint16(take(2))) }
	f64 := func() float64 { return math.Float64frombits(e.Uint64(take(8))) }
	str := func() string { return string(take(u8())) }
	if k, v := u8(), u8(); k != kindHello || v != version {
		return h, fmt.Errorf("kind %d, version %d", k, v)
	}
	h.now, h.rate = f64(), u16()
	for range u8() {
		h.sectors = append(h.sectors, str())
	}
	h.every, h.until = u16(), f64()
	for range u16() {
		l := listing{symbol: str(), name: str(), sector: u8(), decimals: u8(), reference: e.Uint32(take(4))}
		price := int64(0)
		for range u16() {
			d, n := binary.Varint(b)
			if n <= 0 {
				return h, fmt.Errorf("a varint is cut off")
			}
			take(n)
			price += d
			if price <= 0 || price > math.MaxUint32 {
				return h, fmt.Errorf("a price of %d", price)
			}
			l.prices = append(l.prices, uint32(price))
		}
		h.instruments = append(h.instruments, l)
	}
	if len(b) > 0 {
		return h, fmt.Errorf("%d bytes behind it", len(b))
	}
	return h, nil
}

func TestHelloRoundTrip(t *testing.T) {
	m := newMarket(config{instruments: 20, rate: 5, seed: 1})
	b := m.hello()
	h, err := parseHello(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := h.append(nil); string(again) != string(b) {
		t.Error("hello is not what it was")
	}
	if len(h.instruments) != 20 || h.rate != 5 || len(h.sectors) != len(sectors) {
		t.Errorf("%d instruments, rate %d, %d sectors", len(h.instruments), h.rate, len(h.sectors))
	}
	for i, l := range h.instruments {
		in := m.sim.instruments[i]
		if len(l.prices) != historyLength || l.prices[historyLength-1] != in.price {
			t.Errorf("%s: %d prices up to %d, now it is at %d", l.symbol, len(l.prices), l.prices[len(l.prices)-1], in.price)
		}
	}
}
