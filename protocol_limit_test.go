package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// What a receiver refuses for its content or its size, and what it costs.

func TestReceiverUTF8(t *testing.T) {
	ascii := strings.Repeat("a", 40)
	for _, tt := range []struct {
		text string
		bad  int // index of the byte that nothing valid can follow; len(text): only the end is wrong
	}{
		{"\x80", 0},
		{"\xff", 0},
		{"\xc1\xbf", 0},      // overlong, which the first byte tells
		{"\xf5\x80\x80", 0},  // above U+10FFFF, likewise
		{"a\xc3a", 2},        // a character cut short by another
		{"\xe0\x9f\xbf", 1},  // overlong
		{"\xf0\x8f\xbf", 1},  // overlong
		{"\xed\xa0\x80", 1},  // a surrogate
		{"\xf4\x90\x80", 1},  // above U+10FFFF
		{"\xe2\x82\xc0", 2},  // the third byte
		{"\xf0\x9f\x99 ", 3}, // the fourth byte
		{"ü€🙂\xbf", 9},       // one continuation byte too many
		{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65", 12},
		{ascii + "\xe2\x82\x00" + ascii, 42},
		{ascii + ascii + "\xfe", 80},
		{"\xc3", 1},
		{"a\xe2\x82", 3},
		{"🙂\xf0\x9f\x99", 7},
	} {
		inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
			// check has the error come at byte want of wire, and not
			// earlier, whatever is known of what follows.
			check := func(wire []byte, want int) {
				t.Helper()
				p := playEveryWay(t, r, wire[:want])
				wantViolation(t, p.err, StatusInvalidPayload, "8.1")
				if p.fed != want || len(p.msg) < tt.bad {
					t.Fatalf("%q as % x: refused at byte %d with %q of the text, want %d", tt.text, wire, p.fed, p.msg, want)
				}
				if p := play(t, r, false, wire[:want-1]); p.err != nil {
					t.Fatalf("%q as % x: %v before byte %d", tt.text, wire, p.err, want)
				}
				if p := play(t, r, true, append(wire, 0, 0, 0)); p.err == nil {
					t.Fatalf("%q as % x: accepted with more behind it", tt.text, wire)
				}
			}
			// rest is how much of a wire comes behind the byte in question.
			rest := max(len(tt.text)-tt.bad-1, 0)
			whole := encode(masked, wireFrame{0x81, tt.text})
			check(whole, len(whole)-rest)

			if tt.bad < len(tt.text) {
				// Most of the frame is still to come.
				long := encode(masked, wireFrame{0x01, tt.text + strings.Repeat("z", 300)})
				check(long, len(long)-300-rest)
			} else {
				// The last frame is empty: its header is the end.
				wire := encode(masked, wireFrame{0x01, tt.text}, wireFrame{0x89, ""}, wireFrame{0x80, ""})
				check(wire, len(wire))
			}
			for cut := range len(tt.text) {
				if len(tt.text) > 50 && (cut < tt.bad-3 || cut > tt.bad+3) {
					continue
				}
				head, tail := wireFrame{0x01, tt.text[:cut]}, wireFrame{0x80, tt.text[cut:]}
				if tt.bad < cut {
					check(encode(masked, head), len(encode(masked, head))-(cut-tt.bad-1))
					continue
				}
				wire := encode(masked, head, wireFrame{0x89, "\xff"}, wireFrame{0x00, ""}, tail)
				check(wire, len(wire)-rest)
			}
		})
	}

	// Only text is text.
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		wire := encode(masked, wireFrame{0x02, "\xff\xc3"}, wireFrame{0x89, "\xfe"}, wireFrame{0x80, "\x80\xe2"}, wireFrame{0x81, "a"})
		if p := playEveryWay(t, r, wire); p.err != nil || len(p.log) != 3 {
			t.Errorf("binary that is not UTF-8: %q, %v", p.log, p.err)
		}
	})
}

func TestReceiverLimit(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		limit  int64
		frames []wireFrame
		header string // of the frame that is too much, without MASK and key
		size   string // what the error tells
	}{
		{10, []wireFrame{{0x82, "0123456789"}, {0x81, "0123456789"}}, "82 0b", "11"},
		{10, []wireFrame{{0x02, "0123"}, {0x00, "456789"}, {0x00, ""}, {0x80, ""}, {0x02, "0123"}}, "80 07", "11"},
		{10, []wireFrame{{0x01, "0123456789"}, {0x00, ""}, {0x89, long[:125]}}, "00 01", "11"},
		{0, []wireFrame{{0x81, ""}, {0x02, ""}, {0x89, "x"}, {0x80, ""}}, "81 01", "1"},
		{299, []wireFrame{{0x82, long[:299]}}, "82 7e 01 2c", "300"},
		{300, []wireFrame{{0x82, long}, {0x02, long[:1]}}, "80 7e 01 2c", "301"},
		{65535, nil, "82 7f 00 00 00 00 00 01 00 00", "65536"},
		{1 << 20, nil, "81 7f 00 00 00 00 ff ff ff ff", "4294967295"},
		{1 << 20, nil, "81 7f 00 00 00 01 00 00 00 01", "4294967297"},
		{1 << 20, nil, "02 7f 7f ff ff ff ff ff ff ff", "9223372036854775807"},
		// Sizes that a sum of 63 bits cannot hold.
		{1 << 20, []wireFrame{{0x01, "01234"}}, "80 7f 7f ff ff ff ff ff ff ff", "9223372036854775812"},
		{math.MaxInt64, []wireFrame{{0x01, "0"}}, "80 7f 7f ff ff ff ff ff ff ff", "9223372036854775808"},
	} {
		inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
			r.limit = tt.limit
			wire := encode(masked, tt.frames...)
			if p := playEveryWay(t, r, wire[:min(len(wire), 100)]); p.err != nil {
				t.Fatalf("within the limit of %d: %v", tt.limit, p.err)
			}
			header := unhex(tt.header)
			if masked {
				header = maskedHeader(header, 1)
			}
			p := play(t, r, false, append(wire, header[:len(header)-1]...))
			if p.err != nil {
				t.Fatalf("limit %d: %v before the end of the header", tt.limit, p.err)
			}
			p.feed(header[len(header)-1:])
			wantViolation(t, p.err, StatusMessageTooBig, "7.4.1")
			if !errors.Is(p.err, ErrMessageTooBig) {
				t.Errorf("%v is not ErrMessageTooBig", p.err)
			}
			want := fmt.Sprintf("message of %s bytes or more is over the read limit of %d ", tt.size, tt.limit)
			if !strings.Contains(p.err.Error(), want) {
				t.Errorf("error %v does not say %q", p.err, want)
			}
		})
	}
}

// Two lengths of 2^63-1 make a sum of 2^64-2.
func TestReceiverLimitOverflow(t *testing.T) {
	header := unhex("02 7f 7f ff ff ff ff ff ff ff")
	r := receiver{client: true, limit: math.MaxInt64}
	if n, ev, _, err := r.next(bytes.Clone(header)); n != len(header) || ev != evData || err != nil || r.left != math.MaxInt64 {
		t.Fatalf("a frame of the largest length: %d, %d, %v, %d left", n, ev, err, r.left)
	}
	r.left = 0 // as if 8 EiB had come
	if end, err := r.endFrame(); end || err != nil {
		t.Fatal(end, err)
	}
	header[0] = 0x80
	_, _, _, err := r.next(header)
	wantViolation(t, err, StatusMessageTooBig, "7.4.1")
	if !strings.Contains(err.Error(), "18446744073709551614 bytes") {
		t.Errorf("the sum overflowed: %v", err)
	}
}

// A hundred thousand fragments cost one call each and no memory: whatever
// they leave behind is in the receiver itself, whose size is fixed.
func TestReceiverFragmentFlood(t *testing.T) {
	const fragments = 100_000
	euro := "€"
	for _, tt := range []struct {
		name    string
		payload func(i int) string
		size    int
	}{
		{"empty", func(int) string { return "" }, 0},
		{"one byte", func(i int) string { return euro[i%3 : i%3+1] }, fragments - 1},
	} {
		inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
			frames := make([]wireFrame, fragments)
			for i := range frames {
				frames[i].payload = tt.payload(i)
			}
			frames[0].b0 = 0x01
			frames[fragments-1] = wireFrame{0x80, ""} // 99,999 is a multiple of 3
			wire := encode(masked, frames...)

			in, msg := make([]byte, len(wire)), make([]byte, 0, fragments)
			for _, piece := range []int{len(wire), 5} {
				calls, ended := 0, false
				run := func() {
					copy(in, wire)
					calls, ended, msg = 0, false, msg[:0]
					r := r
					for done := 0; done < len(in); {
						p := in[done:min(done+piece, len(in))]
						done += len(p)
						for len(p) > 0 {
							calls++
							n, ev, _, err := r.next(p)
							if err != nil {
								t.Fatal(err)
							}
							if p = p[n:]; ev != evData {
								continue
							}
							m := min(int(r.left), len(p))
							if err := r.payload(p[:m]); err != nil {
								t.Fatal(err)
							}
							msg, p = append(msg, p[:m]...), p[m:]
							if r.left == 0 {
								if ended, err = r.endFrame(); err != nil {
									t.Fatal(err)
								}
							}
						}
					}
					if r.reset(); r.partial != nil {
						t.Fatal("reset keeps partial")
					}
				}
				// Goroutines that earlier tests have left may allocate meanwhile.
				allocs := testing.AllocsPerRun(1, run)
				for range 9 {
					allocs = min(allocs, testing.AllocsPerRun(1, run))
				}
				if calls > fragments+2*(len(wire)/piece+1) {
					t.Errorf("%s fragments in pieces of %d: %d calls for %d bytes", tt.name, piece, calls, len(wire))
				}
				if allocs != 0 {
					t.Errorf("%s fragments in pieces of %d: %v allocations", tt.name, piece, allocs)
				}
				if !ended || len(msg) != tt.size || string(msg) != strings.Repeat(euro, tt.size/3) {
					t.Errorf("%s fragments in pieces of %d: ended %v, %d bytes", tt.name, piece, ended, len(msg))
				}
			}
		})
	}
}

// A length is only a word: nothing is made ready for it.
func TestReceiverDeclaredLength(t *testing.T) {
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		r.limit = math.MaxInt64
		header := unhex("02 7f 00 00 01 00 00 00 00 00")
		if masked {
			header = maskedHeader(header, 0)
		}
		in := make([]byte, len(header)+100)
		r.partial = new(partial)
		if allocs := testing.AllocsPerRun(100, func() {
			copy(in, header)
			r := r
			*r.partial = partial{}
			n, ev, _, err := r.next(in)
			if n != len(header) || ev != evData || err != nil || r.left != 1<<40 {
				t.Fatalf("%d, %d, %v, %d left", n, ev, err, r.left)
			}
			if err := r.payload(in[n:]); err != nil || r.left != 1<<40-100 {
				t.Fatalf("%v, %d left", err, r.left)
			}
		}); allocs != 0 {
			t.Errorf("a length of 2^40 costs %v allocations", allocs)
		}
	})
}

// A control frame that comes in pieces is put together, and then let go.
func TestReceiverControlMemory(t *testing.T) {
	wire := encode(true, wireFrame{0x89, strings.Repeat("p", 125)}, wireFrame{0x8a, ""}, wireFrame{0x89, "x"})
	p := &player{r: receiver{}, t: t}
	for round := range 100 {
		for i := range wire {
			p.feed(wire[i : i+1])
			if p.r.ctl != nil && cap(p.r.ctl.B) > 256 {
				t.Fatalf("a control frame holds %d bytes", cap(p.r.ctl.B))
			}
		}
		if p.err != nil || p.r.ctl != nil || len(p.log) != 3*(round+1) {
			t.Fatalf("round %d: %d frames, %v held, %v", round, len(p.log), p.r.ctl, p.err)
		}
	}
}

func TestReceiverRefusals(t *testing.T) {
	type streams = []wireFrame
	const server, client = 1, 2 // who refuses, if not both
	for _, tt := range []struct {
		name    string
		frames  streams // what comes before, or all
		header  string  // of the frame to refuse, without MASK and key
		code    StatusCode
		section string
		want    []string // what is heard of the frames
		role    int
	}{
		{"RSV1", nil, "c1 01", 1002, "5.2", nil, 0},
		{"RSV2", nil, "a2 00", 1002, "5.2", nil, 0},
		{"RSV3", streams{{0x81, "a"}}, "91 7e 00 80", 1002, "5.2", []string{`text "a"`}, 0},
		{"all reserved bits", nil, "f1 01", 1002, "5.2", nil, 0},
		{"RSV1 in a continuation", streams{{0x01, "a"}}, "c0 01", 1002, "5.2", nil, 0},
		{"RSV2 in a ping", nil, "a9 00", 1002, "5.2", nil, 0},
		{"RSV1 in a close", nil, "c8 00", 1002, "5.2", nil, 0},
		{"opcode 3", nil, "83 00", 1002, "5.2", nil, 0},
		{"opcode 7", nil, "87 7f 00 00 00 00 00 01 00 00", 1002, "5.2", nil, 0},
		{"opcode 4 inside a message", streams{{0x01, "a"}}, "04 01", 1002, "5.2", nil, 0},
		{"opcode 11", nil, "8b 00", 1002, "5.2", nil, 0},
		{"opcode 15 inside a message", streams{{0x01, "a"}, {0x89, ""}}, "8f 00", 1002, "5.2", []string{`ping ""`}, 0},
		{"fragmented ping", nil, "09 00", 1002, "5.5", nil, 0},
		{"fragmented pong", streams{{0x01, "a"}}, "0a 01", 1002, "5.5", nil, 0},
		{"fragmented close", nil, "08 02", 1002, "5.5", nil, 0},
		{"ping of 126 bytes", nil, "89 7e 00 7e", 1002, "5.5", nil, 0},
		{"pong of 65536 bytes", nil, "8a 7f 00 00 00 00 00 01 00 00", 1002, "5.5", nil, 0},
		{"close of 126 bytes", streams{{0x81, "a"}}, "88 7e 00 7e", 1002, "5.5", []string{`text "a"`}, 0},
		{"continuation at the start", nil, "80 00", 1002, "5.4", nil, 0},
		{"continuation without FIN at the start", nil, "00 05", 1002, "5.4", nil, 0},
		{"continuation behind a message", streams{{0x81, "a"}}, "80 01", 1002, "5.4", []string{`text "a"`}, 0},
		{"continuation behind the last one", streams{{0x02, "a"}, {0x80, "b"}, {0x89, ""}}, "00 00", 1002, "5.4", []string{`binary "ab"`, `ping ""`}, 0},
		{"text inside a text", streams{{0x01, "a"}}, "81 00", 1002, "5.4", nil, 0},
		{"text inside an empty text", streams{{0x01, ""}}, "01 00", 1002, "5.4", nil, 0},
		{"binary inside a text", streams{{0x01, "a"}, {0x00, "b"}, {0x8a, ""}}, "82 01", 1002, "5.4", []string{`pong ""`}, 0},
		{"text inside a binary", streams{{0x02, "a"}}, "01 01", 1002, "5.4", nil, 0},
		{"length 0 in 16 bits", nil, "82 7e 00 00", 1002, "5.2", nil, 0},
		{"length 125 in 16 bits", nil, "82 7e 00 7d", 1002, "5.2", nil, 0},
		{"length 0 in 64 bits", nil, "82 7f 00 00 00 00 00 00 00 00", 1002, "5.2", nil, 0},
		{"length 65535 in 64 bits", streams{{0x01, "a"}}, "80 7f 00 00 00 00 00 00 ff ff", 1002, "5.2", nil, 0},
		{"length 2^63", nil, "82 7f 80 00 00 00 00 00 00 00", 1002, "5.2", nil, 0},
		{"length 2^63+5", nil, "82 7f 80 00 00 00 00 00 00 05", 1002, "5.2", nil, 0},
		{"length 2^64-1", streams{{0x02, "a"}}, "80 7f ff ff ff ff ff ff ff ff", 1002, "5.2", nil, 0},
		{"length 2^63-1", nil, "82 7f 7f ff ff ff ff ff ff ff", 1009, "7.4.1", nil, 0},

		{"close of one byte", streams{{0x88, "\x03"}}, "", 1002, "5.5.1", nil, 0},
		{"close with code 0", streams{{0x88, "\x00\x00"}}, "", 1002, "7.4", nil, 0},
		{"close with code 999", streams{{0x88, "\x03\xe7"}}, "", 1002, "7.4", nil, 0},
		{"close with code 1004", streams{{0x88, "\x03\xec"}}, "", 1002, "7.4", nil, 0},
		{"close with code 1005", streams{{0x88, "\x03\xed"}}, "", 1002, "7.4", nil, 0},
		{"close with code 1006", streams{{0x81, "a"}, {0x88, "\x03\xee"}}, "", 1002, "7.4", []string{`text "a"`}, 0},
		{"close with code 1015", streams{{0x88, "\x03\xf7"}}, "", 1002, "7.4", nil, 0},
		{"close with code 2999", streams{{0x01, "a"}, {0x88, "\x0b\xb7bye"}}, "", 1002, "7.4", nil, 0},
		{"close with code 5000", streams{{0x88, "\x13\x88"}}, "", 1002, "7.4", nil, 0},
		{"close with code 65535", streams{{0x88, "\xff\xff"}}, "", 1002, "7.4", nil, 0},
		{"close with a reason that is not UTF-8", streams{{0x88, "\x03\xe8a\xff"}}, "", 1007, "5.5.1", nil, 0},
		{"close with a reason cut short", streams{{0x88, "\x03\xe8\xc3"}}, "", 1007, "5.5.1", nil, 0},

		{"text behind a close", streams{{0x88, "\x03\xe8"}}, "81 00", 1002, "5.5.1", []string{`close "\x03\xe8"`}, 0},
		{"ping behind a close", streams{{0x88, ""}}, "89 00", 1002, "5.5.1", []string{`close ""`}, 0},
		{"a second close", streams{{0x88, ""}}, "88 00", 1002, "5.5.1", []string{`close ""`}, 0},
		{"the rest of a message behind a close", streams{{0x01, "a"}, {0x88, ""}}, "80 00", 1002, "5.5.1", []string{`close ""`}, 0},

		{"server frame with a mask", streams{{0x81, "a"}}, "81 80 01 02 03 04", 1002, "5.1", []string{`text "a"`}, client},
		{"server ping with a mask", nil, "89 80 00 00 00 00", 1002, "5.1", nil, client},
		{"client frame without mask", streams{{0x81, "a"}}, "82 01", 1002, "5.1", []string{`text "a"`}, server},
		{"client close without mask", nil, "88 00", 1002, "5.1", nil, server},
		{"client continuation without mask", streams{{0x01, "a"}}, "80 7e 01 00", 1002, "5.1", nil, server},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
				if tt.role == server && !masked || tt.role == client && masked {
					t.SkipNow()
				}
				wire := encode(masked, tt.frames...)
				before := len(wire)
				if tt.header != "" {
					header := unhex(tt.header)
					if masked && tt.role == 0 {
						header = maskedHeader(header, 7)
					}
					wire = append(wire, header...)
				} else {
					before--
				}
				p := playEveryWay(t, r, wire)
				wantViolation(t, p.err, tt.code, tt.section)
				if !slices.Equal(p.log, tt.want) {
					t.Errorf("got %q before the error, want %q", p.log, tt.want)
				}
				if p.fed <= before {
					t.Errorf("refused at byte %d, and the frame begins behind %d", p.fed, before)
				}
				// Later bytes change nothing.
				more := append(wire, 0x88, 0x82, 1, 2, 3, 4, 5, 6)
				for cut := range more {
					if q := play(t, r, cut&1 == 0, more, cut); q.outcome() != p.outcome() || fmt.Sprint(q.err) != fmt.Sprint(p.err) {
						t.Fatalf("with more behind it, cut at %d:\n%s%v\nwant\n%s%v", cut, q.outcome(), q.err, p.outcome(), p.err)
					}
				}
			})
		})
	}
}
