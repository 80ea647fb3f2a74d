package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The protocol. Every message is one binary WebSocket message, and its first
// byte is its type. Numbers are big-endian. There is one way to write a message,
// and any other is refused, here and in web/wire.js.
//
// From the page to the server:
//
//	0x81 join    koi, flags, name…
//	     Enters the pond, once. koi is one of the varieties, flags has bit 0
//	     set by a program that plays by itself, the name is UTF-8.
//	0x82 steer   sequence, direction, throttle, buttons
//	     The player's input for one tick. The first sequence number is 1,
//	     and after 255 comes 0. Bit 0 of buttons is to dart.
//	0x83 ping    time (4)
//	     Browsers do not let a page send a WebSocket ping, so it has its own.
//
// From the server to the page:
//
//	0x01 hello   version, rate
//	     The first message. rate is the number of ticks per second.
//	0x02 welcome id
//	     Answers join. From the next snapshot on there is a koi with that id.
//	0x03 roster  n, n × (id, koi + 128 for a program, length, name…)
//	     All players, whenever the list has changed, with ascending ids.
//	0x04 snapshot tick (4), n, m, n × koi, m × crumb
//	     The pond after that tick, the same bytes for everybody.
//	       koi:   id, x (2), y (2), vx (2), vy (2), heading, score (2),
//	              dart, daze + 128 if it cannot be robbed, sequence
//	       crumb: x, y, value
//	     ids ascend. x and y of a koi are in 1/16, from -2048 on; those of a
//	     crumb in 16, from -2048 on. Speeds are signed, in 1/16 per second. The
//	     sequence number is that of the last steer that took effect: with it,
//	     every page finds in the common snapshot what its prediction needs.
//	0x05 pong    time (4), skipped (4)
//	     Answers ping. skipped counts the snapshots that were not sent on this
//	     connection, because it did not keep up.
//
// Every message of the server is state that replaces the earlier one: a message that
// a page has missed does not matter once the page has the next.
const (
	protocolVersion = 1

	kindHello    = 0x01
	kindWelcome  = 0x02
	kindRoster   = 0x03
	kindSnapshot = 0x04
	kindPong     = 0x05
	kindJoin     = 0x81
	kindSteer    = 0x82
	kindPing     = 0x83
)

const (
	maxPlayers  = 250 // an id is one byte, and 0 is none
	maxCrumbs   = 255
	varieties   = 12 // of koi
	maxName     = 16 // characters
	maxIncoming = 3 + maxName*utf8.UTFMax

	maxPosition = 2047
	maxSpeed    = 2047

	koiSize   = 15
	crumbSize = 3
)

// Messages of a page.
type (
	join struct {
		koi  uint8
		bot  bool
		name string
	}
	steer struct {
		seq uint8
		steering
	}
	ping struct{ time uint32 }
)

// Messages of the server.
type (
	hello   struct{ rate uint8 }
	welcome struct{ id uint8 }
	roster  []person
	person  struct {
		id, koi uint8
		bot     bool
		name    string
	}
	snapshot struct {
		tick   uint32
		koi    []koiState
		crumbs []crumb
	}
	koiState struct {
		id uint8
		body
		shield bool
		ack    uint8
	}
	pong struct{ time, skipped uint32 }
)

// crumb is something to eat, in the middle of a field of 16 by 16.
type crumb struct{ x, y, value uint8 }

// at returns where it lies.
func (c crumb) at() (x, y float64) {
	return float64(c.x)*16 - 2048, float64(c.y)*16 - 2048
}

var errShape = errors.New("a message of another length than it should have")

// parseIncoming parses a message of a page: a join, steer or ping.
func parseIncoming(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, errShape
	}
	kind, b := b[0], b[1:]
	switch kind {
	case kindJoin:
		return parseJoin(b)
	case kindSteer:
		if len(b) != 4 {
			return nil, errShape
		}
		if b[3] > 1 {
			return nil, fmt.Errorf("there are no buttons %#x", b[3])
		}
		return steer{b[0], steering{b[1], b[2], b[3] == 1}}, nil
	case kindPing:
		if len(b) != 4 {
			return nil, errShape
		}
		return ping{binary.BigEndian.Uint32(b)}, nil
	}
	return nil, fmt.Errorf("there is no message of kind %#x", kind)
}

func parseJoin(b []byte) (any, error) {
	if len(b) < 2 {
		return nil, errShape
	}
	j := join{b[0], b[1] == 1, string(b[2:])}
	if b[1] > 1 {
		return nil, fmt.Errorf("there are no flags %#x", b[1])
	}
	return j, checkPerson(j.koi, j.name)
}

func checkPerson(koi uint8, name string) error {
	if koi >= varieties {
		return fmt.Errorf("there is no koi %d", koi)
	}
	return checkName(name)
}

// checkName returns an error for an invalid name. A name must not have superfluous
// space, invisible characters, or characters that reverse the direction of the text
// after them.
func checkName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return errors.New("a name is UTF-8")
	case name == "":
		return errors.New("a name has at least one character")
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("a name has at most %d characters", maxName)
	case name != strings.Join(strings.Fields(name), " "):
		return errors.New("a name has no superfluous space")
	case strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r)
	}):
		return errors.New("a name has no invisible characters")
	}
	return nil
}

func (j join) append(b []byte) []byte {
	return append(append(b, kindJoin, j.koi, bit(j.bot)), j.name...)
}

func (s steer) append(b []byte) []byte {
	return append(b, kindSteer, s.seq, s.dir, s.throttle, bit(s.dart))
}

func (p ping) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, kindPing), p.time)
}

func (h hello) append(b []byte) []byte {
	return append(b, kindHello, protocolVersion, h.rate)
}

func (w welcome) append(b []byte) []byte { return append(b, kindWelcome, w.id) }

func (r roster) append(b []byte) []byte {
	b = append(b, kindRoster, uint8(len(r)))
	for _, p := range r {
		b = append(b, p.id, p.koi|bit(p.bot)<<7, uint8(len(p.name)))
		b = append(b, p.name...)
	}
	return b
}

func (s *snapshot) append(b []byte) []byte {
	u16 := binary.BigEndian.AppendUint16
	b = binary.BigEndian.AppendUint32(append(b, kindSnapshot), s.tick)
	b = append(b, uint8(len(s.koi)), uint8(len(s.crumbs)))
	for i := range s.koi {
		k := &s.koi[i]
		b = append(b, k.id)
		b = u16(b, uint16((k.x+2048)*16))
		b = u16(b, uint16((k.y+2048)*16))
		b = u16(b, uint16(int16(k.vx*16)))
		b = u16(b, uint16(int16(k.vy*16)))
		b = u16(append(b, k.heading), k.score)
		b = append(b, k.dart, k.daze|bit(k.shield)<<7, k.ack)
	}
	for _, c := range s.crumbs {
		b = append(b, c.x, c.y, c.value)
	}
	return b
}

func (p pong) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindPong), p.time)
	return binary.BigEndian.AppendUint32(b, p.skipped)
}

func bit(v bool) uint8 {
	if v {
		return 1
	}
	return 0
}

// parseOutgoing parses a message of the server: a hello, welcome, roster, snapshot or
// pong. A snapshot is parsed into s, whose slices are used again, and s is returned.
func parseOutgoing(b []byte, s *snapshot) (any, error) {
	if len(b) == 0 {
		return nil, errShape
	}
	kind, b := b[0], b[1:]
	switch kind {
	case kindHello:
		if len(b) != 2 {
			return nil, errShape
		}
		if b[0] != protocolVersion {
			return nil, fmt.Errorf("the server speaks version %d, and we %d", b[0], protocolVersion)
		}
		return hello{b[1]}, checkRate(int(b[1]))
	case kindWelcome:
		if len(b) != 1 {
			return nil, errShape
		}
		return welcome{b[0]}, checkID(0, b[0])
	case kindRoster:
		return parseRoster(b)
	case kindSnapshot:
		return s, s.parse(b)
	case kindPong:
		if len(b) != 8 {
			return nil, errShape
		}
		return pong{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
	}
	return nil, fmt.Errorf("there is no message of kind %#x", kind)
}

// checkID checks an id that comes after another one, or after 0.
func checkID(last, id uint8) error {
	if id <= last || id > maxPlayers {
		return fmt.Errorf("the id %d comes after %d", id, last)
	}
	return nil
}

// checkRate checks a number of ticks per second.
func checkRate(rate int) error {
	if rate < 20 || rate > 60 {
		return fmt.Errorf("%d ticks per second, but 20 to 60 are possible", rate)
	}
	return nil
}

func parseRoster(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, errShape
	}
	n, b := int(b[0]), b[1:]
	r := make(roster, 0, min(n, len(b)/4))
	last := uint8(0)
	for range n {
		if len(b) < 3 || len(b) < 3+int(b[2]) {
			return nil, errShape
		}
		end := 3 + int(b[2])
		p := person{b[0], b[1] & 127, b[1] >= 128, string(b[3:end])}
		if err := errors.Join(checkID(last, p.id), checkPerson(p.koi, p.name)); err != nil {
			return nil, err
		}
		r, last, b = append(r, p), p.id, b[end:]
	}
	if len(b) > 0 {
		return nil, errShape
	}
	return r, nil
}

func (s *snapshot) parse(b []byte) error {
	if len(b) < 6 || len(b) != 6+koiSize*int(b[4])+crumbSize*int(b[5]) {
		return errShape
	}
	u16 := binary.BigEndian.Uint16
	s.tick, s.koi, s.crumbs = binary.BigEndian.Uint32(b), s.koi[:0], s.crumbs[:0]
	n, b := int(b[4]), b[6:]
	last := uint8(0)
	for ; n > 0; n, b = n-1, b[koiSize:] {
		k := koiState{id: b[0], shield: b[13] >= 128, ack: b[14]}
		k.body = body{
			x: float64(u16(b[1:]))/16 - 2048, y: float64(u16(b[3:]))/16 - 2048,
			vx: float64(int16(u16(b[5:]))) / 16, vy: float64(int16(u16(b[7:]))) / 16,
			heading: b[9], score: u16(b[10:]), dart: b[12], daze: b[13] & 127,
		}
		if err := checkID(last, k.id); err != nil {
			return err
		}
		if max(math.Abs(k.x), math.Abs(k.y)) > maxPosition || max(math.Abs(k.vx), math.Abs(k.vy)) > maxSpeed {
			return fmt.Errorf("the koi %d is out of bounds", k.id)
		}
		s.koi, last = append(s.koi, k), k.id
	}
	for ; len(b) > 0; b = b[crumbSize:] {
		c := crumb{b[0], b[1], b[2]}
		if c.value == 0 {
			return errors.New("a crumb without value")
		}
		s.crumbs = append(s.crumbs, c)
	}
	return nil
}
