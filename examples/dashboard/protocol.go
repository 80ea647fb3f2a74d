package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The protocol between the page (web/protocol.js) and the server. Every message
// is a binary WebSocket message; its first byte says what it is. Numbers are
// big-endian. f64 is a floating-point number, and as a time it is milliseconds
// since the server was started. A string is its length in bytes (u8) and UTF-8.
// Both sides refuse a message that is cut off or has something behind it.
//
// From the server to the page:
//
//	hello   u8 1, u8 version, f64 now
//	        u16 steps of the market per second
//	        u8 number of sectors, and for each: string name
//	        u16 milliseconds between two prices of the history, f64 time of the last ones
//	        u16 number of instruments, and for each, whose id is its place:
//	            string symbol, string name, u8 sector, u8 decimals, u32 reference price
//	            u16 number of prices, and for each: varint difference from the one before
//
//	    It comes first. A price counts steps of the instrument's smallest unit:
//	    12345 with 2 decimals is 123.45. The reference is what the change of the
//	    day is measured from. The first difference is from 0. A varint is that of
//	    encoding/binary: zigzag, seven bits in a byte.
//
//	trade   u8 2, u16 id, u32 seq, f64 time, u32 price, u32 high, u32 low, u32 volume
//
//	    The state of an instrument. It is complete, so only detail is lost when a
//	    trade is left out: high, low and volume are those of the day. seq counts
//	    the trades of the instrument, so gaps tell how many were left out. A trade
//	    that is not newer than the last is a repetition, which comes when settings
//	    have changed.
//
//	report  u8 3, f64 t, f64 now, u8 policy, u32 rate
//	        f64 sent, f64 conflated, f64 dropped, u32 pending, u32 buffered
//
//	    Answers ping, and repeats its t. The counters are of trades on this
//	    connection: given to it, replaced by a newer one of the same instrument,
//	    left out because too many were waiting; and how many wait now. buffered
//	    is in bytes.
//
// From the page to the server:
//
//	ping      u8 129, f64 t
//	settings  u8 130, u8 policy, u32 rate
//
//	    rate is how many bytes per second the connection shall take from now on,
//	    0 for as many as it can.
const (
	kindHello    = 1
	kindTrade    = 2
	kindReport   = 3
	kindPing     = 129
	kindSettings = 130

	version = 1
)

const (
	tradeSize    = 31
	reportSize   = 54
	pingSize     = 9
	settingsSize = 6
)

// policy says what happens to the trades for which a slow page has no room.
type policy uint8

const (
	keepLatest policy = iota // each instrument's newest is kept
	queueAll                 // all are kept, up to a bound
	policies
)

// Limits of settings.rate, in bytes per second.
const (
	minRate = 2_000
	maxRate = 10_000_000
)

// hello is the first message to a page.
type hello struct {
	now         float64
	rate        int // steps per second
	sectors     []string
	every       int     // milliseconds between two prices
	until       float64 // time of the last ones
	instruments []listing
}

// listing is an instrument and its past.
type listing struct {
	symbol, name     string
	sector, decimals int
	reference        uint32
	prices           []uint32 // the oldest first
}

func (h *hello) append(b []byte) []byte {
	b = append(b, kindHello, version)
	b = appendFloat(b, h.now)
	b = binary.BigEndian.AppendUint16(b, uint16(h.rate))
	b = append(b, byte(len(h.sectors)))
	for _, s := range h.sectors {
		b = appendString(b, s)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(h.every))
	b = appendFloat(b, h.until)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.instruments)))
	for i := range h.instruments {
		b = h.instruments[i].append(b)
	}
	return b
}

func (l *listing) append(b []byte) []byte {
	b = appendString(b, l.symbol)
	b = appendString(b, l.name)
	b = append(b, byte(l.sector), byte(l.decimals))
	b = binary.BigEndian.AppendUint32(b, l.reference)
	b = binary.BigEndian.AppendUint16(b, uint16(len(l.prices)))
	last := int64(0)
	for _, p := range l.prices {
		b = binary.AppendVarint(b, int64(p)-last)
		last = int64(p)
	}
	return b
}

// trade is the state of an instrument.
type trade struct {
	id               int
	seq              uint32
	time             float64
	price, high, low uint32
	volume           uint32
}

func (t *trade) append(b []byte) []byte {
	b = append(b, kindTrade)
	b = binary.BigEndian.AppendUint16(b, uint16(t.id))
	b = binary.BigEndian.AppendUint32(b, t.seq)
	b = appendFloat(b, t.time)
	b = binary.BigEndian.AppendUint32(b, t.price)
	b = binary.BigEndian.AppendUint32(b, t.high)
	b = binary.BigEndian.AppendUint32(b, t.low)
	return binary.BigEndian.AppendUint32(b, t.volume)
}

// settings are the settings that a page may choose.
type settings struct {
	policy policy
	rate   int // bytes per second; 0: no limit
}

// report holds the counters of a connection.
type report struct {
	echo, now                float64
	settings                 settings
	sent, conflated, dropped uint64
	pending, buffered        int
}

func (r *report) append(b []byte) []byte {
	b = append(b, kindReport)
	b = appendFloat(b, r.echo)
	b = appendFloat(b, r.now)
	b = append(b, byte(r.settings.policy))
	b = binary.BigEndian.AppendUint32(b, uint32(r.settings.rate))
	b = appendFloat(b, float64(r.sent))
	b = appendFloat(b, float64(r.conflated))
	b = appendFloat(b, float64(r.dropped))
	b = binary.BigEndian.AppendUint32(b, uint32(r.pending))
	return binary.BigEndian.AppendUint32(b, uint32(r.buffered))
}

func appendFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

// appendString appends s, which is one of ours and not longer than 255 bytes.
func appendString(b []byte, s string) []byte {
	return append(append(b, byte(len(s))), s...)
}

// ping asks for a report.
type ping struct{ t float64 }

var (
	errEmpty = errors.New("an empty message")
	errTime  = errors.New("ping: the time is no number")
)

// parse parses a message of the page's: a ping or settings.
func parse(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, errEmpty
	}
	switch b[0] {
	case kindPing:
		return parsePing(b)
	case kindSettings:
		return parseSettings(b)
	}
	return nil, fmt.Errorf("a message of unknown kind %d", b[0])
}

func parsePing(b []byte) (ping, error) {
	if len(b) != pingSize {
		return ping{}, fmt.Errorf("ping: %d bytes, not %d", len(b), pingSize)
	}
	t := math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
	if math.IsNaN(t) || math.IsInf(t, 0) {
		return ping{}, errTime
	}
	return ping{t}, nil
}

func parseSettings(b []byte) (settings, error) {
	if len(b) != settingsSize {
		return settings{}, fmt.Errorf("settings: %d bytes, not %d", len(b), settingsSize)
	}
	s := settings{policy: policy(b[1])}
	if s.policy >= policies {
		return settings{}, fmt.Errorf("settings: unknown policy %d", b[1])
	}
	rate := binary.BigEndian.Uint32(b[2:])
	if rate != 0 && (rate < minRate || rate > maxRate) {
		return settings{}, fmt.Errorf("settings: a rate of %d bytes per second, not 0 or %d to %d", rate, minRate, maxRate)
	}
	s.rate = int(rate)
	return s, nil
}
