package extension

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fullduplex-go/websocket/internal/flate"
)

// show writes c as the tables have it: what we send and what we
// receive, each with its window and a plus if there is takeover.
func show(c Deflate) string {
	if c == (Deflate{}) {
		return ""
	}
	half := func(bits uint8, takeover bool) string {
		if takeover {
			return fmt.Sprintf("%d+", bits)
		}
		return fmt.Sprint(bits)
	}
	return "send " + half(c.SendBits, c.SendTakeover) + " recv " + half(c.RecvBits, c.RecvTakeover)
}

// keeps returns what a connection of a level keeps between messages if both its
// windows have so many bits; sends is the share of what it sends.
func keeps(level, bits int) int { return sends(level, bits) + 1<<bits }
func sends(level, bits int) int { return flate.EncoderMemory(level, bits) }

// wanted returns what an end with these settings wants; nil is nothing.
func wanted(o *Params) *Wanted {
	if o == nil {
		return new(Wanted)
	}
	return &Wanted{Compression: true, Deflate: *o}
}

func TestDeflateDefaults(t *testing.T) {
	for _, tt := range []struct{ level, threshold, wantLevel, wantThreshold int }{
		{0, 0, flate.DefaultLevel, 128},
		{1, -1, 1, 0},
		{9, 1000, 9, 1000},
	} {
		o := &Params{Level: tt.level, Threshold: tt.threshold}
		_, server, _ := wanted(o).Answer([]string{"permessage-deflate"})
		client, _ := wanted(o).Accept([]string{"permessage-deflate"})
		for _, a := range []Agreed{server, client} {
			if d := a.Deflate; d.Level != tt.wantLevel || d.Threshold != tt.wantThreshold {
				t.Errorf("%+v: got %+v", tt, d)
			}
		}
	}
}

func TestAnswer(t *testing.T) {
	const name = "permessage-deflate"
	type options = Params
	for _, tt := range []struct {
		opts                options
		offer, answer, want string
	}{
		// Several offers.
		{options{}, "", "", ""},
		{options{}, "permessage-bzip2, x-webkit-deflate-frame; no_context_takeover", "", ""},
		{options{}, "Permessage-Deflate", "", ""},
		{options{}, name, name, "send 15+ recv 15+"},
		{options{}, name + "; client_max_window_bits", name, "send 15+ recv 15+"}, // Chrome and Firefox
		{options{}, "x-webkit-deflate-frame, " + name + "; client_max_window_bits, mux", name, "send 15+ recv 15+"},
		{options{}, name + "; server_max_window_bits=10, " + name, name + "; server_max_window_bits=10", "send 10+ recv 15+"},
		{options{}, name + ", " + name + "; server_max_window_bits=10", name, "send 15+ recv 15+"},
		{options{}, name + "; server_max_window_bits=7, " + name + "; server_max_window_bits=16, " + name + "; server_max_window_bits=11, " + name,
			name + "; server_max_window_bits=11", "send 11+ recv 15+"},

		// Offers that are declined.
		{options{}, name + "; x", "", ""},
		{options{}, name + "; x=1; client_max_window_bits", "", ""},
		{options{}, name + "; Client_Max_Window_Bits", "", ""},
		{options{}, name + "; x, " + name + "; client_no_context_takeover", name + "; client_no_context_takeover", "send 15+ recv 15"},
		{options{}, name + "; server_no_context_takeover; server_no_context_takeover", "", ""},
		{options{}, name + "; client_no_context_takeover; client_no_context_takeover", "", ""},
		{options{}, name + "; server_max_window_bits=10; server_max_window_bits=10", "", ""},
		{options{}, name + "; client_max_window_bits; client_max_window_bits", "", ""},
		{options{}, name + "; client_max_window_bits; client_max_window_bits=10", "", ""},
		{options{}, name + "; client_max_window_bits=10; client_max_window_bits", "", ""},
		{options{}, name + "; server_no_context_takeover=1", "", ""},
		{options{}, name + "; server_no_context_takeover=true", "", ""},
		{options{}, name + "; client_no_context_takeover=1", "", ""},
		{options{}, name + "; server_max_window_bits", "", ""},
		{options{}, name + "; server_max_window_bits=0", "", ""},
		{options{}, name + "; server_max_window_bits=1", "", ""},
		{options{}, name + "; server_max_window_bits=7", "", ""},
		{options{}, name + "; server_max_window_bits=16", "", ""},
		{options{}, name + "; server_max_window_bits=08", "", ""},
		{options{}, name + "; server_max_window_bits=010", "", ""},
		{options{}, name + "; server_max_window_bits=1e1", "", ""},
		{options{}, name + "; server_max_window_bits=+9", "", ""},
		{options{}, name + "; server_max_window_bits=-9", "", ""},
		{options{}, name + "; server_max_window_bits=10.0", "", ""},
		{options{}, name + "; server_max_window_bits=0xA", "", ""},
		{options{}, name + "; server_max_window_bits=100", "", ""},
		{options{}, name + "; server_max_window_bits=264", "", ""}, // 8 more than a byte holds
		{options{}, name + "; server_max_window_bits=18446744073709551626", "", ""},
		{options{}, name + "; client_max_window_bits=7", "", ""},
		{options{}, name + "; client_max_window_bits=16", "", ""},
		{options{}, name + "; client_max_window_bits=08", "", ""},
		{options{}, name + "; client_max_window_bits=1e1", "", ""},
		{options{}, name + "; client_max_window_bits=+9", "", ""},

		// The window of what we send: the offer's or ours, and told only if asked.
		{options{}, name + "; server_max_window_bits=8", name + "; server_max_window_bits=8", "send 8+ recv 15+"},
		{options{}, name + "; server_max_window_bits=9", name + "; server_max_window_bits=9", "send 9+ recv 15+"},
		{options{}, name + "; server_max_window_bits=15", name + "; server_max_window_bits=15", "send 15+ recv 15+"},
		{options{}, name + `; server_max_window_bits="10"`, name + "; server_max_window_bits=10", "send 10+ recv 15+"},
		{options{}, name + `; server_max_window_bits="\1\0"`, name + "; server_max_window_bits=10", "send 10+ recv 15+"},
		{options{WindowBits: 10}, name + "; client_max_window_bits; server_max_window_bits=12",
			name + "; server_max_window_bits=10; client_max_window_bits=10", "send 10+ recv 10+"},
		{options{WindowBits: 12}, name + "; client_max_window_bits; server_max_window_bits=10",
			name + "; server_max_window_bits=10; client_max_window_bits=12", "send 10+ recv 12+"},
		{options{WindowBits: 10}, name + "; client_max_window_bits", name + "; client_max_window_bits=10", "send 10+ recv 10+"},
		{options{WindowBits: 15}, name + "; client_max_window_bits", name, "send 15+ recv 15+"},

		// The window of what we receive: answered if it was offered, and says anything.
		{options{}, name + "; client_max_window_bits=8", name + "; client_max_window_bits=8", "send 15+ recv 8+"},
		{options{}, name + "; client_max_window_bits=10", name + "; client_max_window_bits=10", "send 15+ recv 10+"},
		{options{}, name + "; client_max_window_bits=15", name + "; client_max_window_bits=15", "send 15+ recv 15+"},
		{options{}, name + `; client_max_window_bits="15"`, name + "; client_max_window_bits=15", "send 15+ recv 15+"},
		{options{WindowBits: 9}, name + "; client_max_window_bits=12", name + "; client_max_window_bits=9", "send 9+ recv 9+"},
		{options{WindowBits: 8}, name + "; client_max_window_bits", name + "; client_max_window_bits=8", "send 8+ recv 8+"},
		{options{WindowBits: 14}, name, name + "; client_no_context_takeover", "send 14+ recv 15"},
		{options{WindowBits: 8}, name + "; server_max_window_bits=15",
			name + "; client_no_context_takeover; server_max_window_bits=8", "send 8+ recv 15"},
		{options{WindowBits: 15}, name, name, "send 15+ recv 15+"},

		// Takeover.
		{options{}, name + "; server_no_context_takeover", name + "; server_no_context_takeover", "send 15 recv 15+"},
		{options{}, name + "; client_no_context_takeover", name + "; client_no_context_takeover", "send 15+ recv 15"},
		{options{ServerNoContextTakeover: true}, name, name + "; server_no_context_takeover", "send 15 recv 15+"},
		{options{ClientNoContextTakeover: true}, name, name + "; client_no_context_takeover", "send 15+ recv 15"},
		{options{ServerNoContextTakeover: true, ClientNoContextTakeover: true, WindowBits: 11},
			name + "; client_max_window_bits=12; server_max_window_bits=13; client_no_context_takeover; server_no_context_takeover",
			name + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=11",
			"send 11 recv 11"},

		// A budget: all of it is used, and not a byte more.
		{options{MemoryBudget: 96 << 10}, name + "; client_max_window_bits", name, "send 15+ recv 15+"},
		{options{MemoryBudget: keeps(5, 15)}, name + "; client_max_window_bits", name, "send 15+ recv 15+"},
		{options{MemoryBudget: keeps(5, 15) - 1}, name + "; client_max_window_bits", name + "; client_max_window_bits=14", "send 14+ recv 14+"},
		{options{MemoryBudget: keeps(5, 14) - 1}, name + "; client_max_window_bits; server_max_window_bits=15",
			name + "; server_max_window_bits=13; client_max_window_bits=13", "send 13+ recv 13+"},
		{options{MemoryBudget: keeps(5, 9)}, name + "; client_max_window_bits=15", name + "; client_max_window_bits=9", "send 9+ recv 9+"},
		{options{MemoryBudget: keeps(5, 9), WindowBits: 8}, name + "; client_max_window_bits", name + "; client_max_window_bits=8", "send 8+ recv 8+"},
		{options{MemoryBudget: sends(5, 10) + 4096}, name + "; client_max_window_bits; server_max_window_bits=10",
			name + "; server_max_window_bits=10; client_max_window_bits=12", "send 10+ recv 12+"},
		// The level counts.
		{options{MemoryBudget: keeps(9, 15), Level: 9}, name + "; client_max_window_bits", name, "send 15+ recv 15+"},
		{options{MemoryBudget: keeps(9, 15) - 1, Level: 9}, name + "; client_max_window_bits", name + "; client_max_window_bits=14", "send 14+ recv 14+"},
		{options{MemoryBudget: keeps(5, 15), Level: 9}, name + "; client_max_window_bits", name + "; client_max_window_bits=14", "send 14+ recv 14+"},
		// Sending keeps more and is given up. Its window is then free again.
		{options{MemoryBudget: keeps(5, 9) - 1}, name + "; client_max_window_bits", name + "; server_no_context_takeover; client_max_window_bits=10", "send 15 recv 10+"},
		{options{MemoryBudget: 512}, name + "; client_max_window_bits", name + "; server_no_context_takeover; client_max_window_bits=9", "send 15 recv 9+"},
		{options{MemoryBudget: 511}, name + "; client_max_window_bits", name + "; server_no_context_takeover; client_no_context_takeover", "send 15 recv 15"},
		{options{MemoryBudget: 1, WindowBits: 12}, name + "; client_max_window_bits",
			name + "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12", "send 12 recv 12"},
		// A client that cannot be limited: 32768 bytes for it, what is left for us.
		{options{MemoryBudget: keeps(5, 15)}, name, name, "send 15+ recv 15+"},
		{options{MemoryBudget: 32768 + sends(5, 12)}, name, name, "send 12+ recv 15+"},
		{options{MemoryBudget: 32768 + sends(5, 12) - 1}, name, name, "send 11+ recv 15+"},
		{options{MemoryBudget: 32768 + sends(5, 9)}, name, name, "send 9+ recv 15+"},
		{options{MemoryBudget: 32768 + sends(5, 9) - 1}, name, name + "; client_no_context_takeover", "send 14+ recv 15"},
		{options{MemoryBudget: sends(5, 9)}, name, name + "; client_no_context_takeover", "send 9+ recv 15"},
		{options{MemoryBudget: sends(5, 9) - 1}, name, name + "; server_no_context_takeover; client_no_context_takeover", "send 15 recv 15"},
		// A direction that keeps nothing needs no smaller window.
		{options{MemoryBudget: 4000}, name + "; server_no_context_takeover; client_max_window_bits",
			name + "; server_no_context_takeover; client_max_window_bits=11", "send 15 recv 11+"},
		{options{MemoryBudget: 8000}, name + "; client_no_context_takeover; client_max_window_bits",
			name + "; client_no_context_takeover", "send 11+ recv 15"},
	} {
		answer, a, err := wanted(&tt.opts).Answer([]string{tt.offer})
		if got := show(a.Deflate); (a.RSV == 0x40) != (got != "") || answer != tt.answer || got != tt.want || err != nil {
			t.Errorf("%+v\noffer %q\ngot  %q, %q, %v\nwant %q, %q", tt.opts, tt.offer, answer, got, err, tt.answer, tt.want)
		}
	}
}

// TestAnswerMalformed: a header that is no list is an error, also to an end that
// wants no compression.
func TestAnswerMalformed(t *testing.T) {
	for _, o := range []*Params{nil, {}} {
		var fault *Error
		answer, a, err := wanted(o).Answer([]string{"permessage-deflate", "a b"})
		if answer != "" || a != (Agreed{}) || !errors.As(err, &fault) || fault.Rule != "RFC 6455, section 9.1" {
			t.Errorf("%+v: got %q, %+v, %v", o, answer, a, err)
		}
	}
	if answer, a, err := new(Wanted).Answer([]string{"permessage-deflate"}); answer != "" || a != (Agreed{}) || err != nil {
		t.Errorf("an end that wants no compression answers %q, %+v, %v", answer, a, err)
	}
}

// fuzzParams makes valid options of anything.
func fuzzParams(level, window uint8, budget uint32, server, client bool) *Params {
	o := &Params{
		Level: int(level % 10), MemoryBudget: int(budget % 200_000),
		ServerNoContextTakeover: server, ClientNoContextTakeover: client,
	}
	if window %= 9; window > 0 {
		o.WindowBits = int(window) + 7
	}
	return o
}

// FuzzNegotiation: what our server answers to any offer, our client takes if
// the offer was its own, and then the two ends fit and keep to their options.
func FuzzNegotiation(f *testing.F) {
	const name = "permessage-deflate"
	for i, offer := range []string{
		"", // the client's own
		name, name + "; client_max_window_bits",
		name + "; server_max_window_bits=10; client_max_window_bits=9",
		"a, " + name + "; x, " + name + `; server_no_context_takeover; client_max_window_bits="8"`,
		name + "; client_no_context_takeover; server_max_window_bits=8",
	} {
		f.Add(offer, uint8(i), uint8(0), uint32(0), false, false, uint8(0), uint32(0), i == 1, i == 2)
		f.Add(offer, uint8(i), uint8(3), uint32(0), i == 3, false, uint8(4), uint32(5000), false, false)
		f.Add(offer, uint8(i), uint8(8), uint32(40_000), false, i == 4, uint8(7), uint32(36_000), false, false)
	}
	f.Fuzz(func(t *testing.T, text string, level, sWindow uint8, sBudget uint32, sServer, sClient bool, cWindow uint8, cBudget uint32, cServer, cClient bool) {
		so := fuzzParams(level, sWindow, sBudget, sServer, sClient)
		var co *Params
		var offers []*deflateOffer
		if text == "" {
			co = fuzzParams(level, cWindow, cBudget, cServer, cClient)
			f := newDeflateOffer(co)
			for range f.offers {
				offers = append(offers, f)
			}
			text = f.String()
		}
		list, err := parse([]string{text})
		if err != nil {
			return
		}
		for _, e := range list {
			p, err := parseDeflate(e.params)
			if e.name != name || err != nil {
				continue
			}
			if again, err := parse([]string{p.String()}); err != nil || len(again) != 1 {
				t.Fatalf("%q is written as %q: %v", text, p, err)
			} else if q, err := parseDeflate(again[0].params); q != p || err != nil {
				t.Fatalf("%q is written as %q, and that read as %q, %v", text, p, q, err)
			}
			if co == nil {
				f := newDeflateOffer(new(Params))
				f.offers[0], f.own.SendTakeover = p, !p.clientNoTakeover
				if p.clientBits != 0 {
					f.own.SendBits = p.clientBits
				}
				offers = append(offers, f)
			}
		}

		answer, agreed, err := wanted(so).Answer([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		server := agreed.Deflate
		if (server != Deflate{}) != (len(offers) > 0) || (server != Deflate{}) != (answer != "") {
			t.Fatalf("answer %q and %+v to %d offers in %q", answer, server, len(offers), text)
		}
		if answer == "" {
			return
		}
		list, err = parse([]string{answer})
		if err != nil || len(list) != 1 || list[0].name != name {
			t.Fatalf("answer %q to %q: %v", answer, text, err)
		}
		p, err := parseDeflate(list[0].params)
		if err != nil {
			t.Fatalf("answer %q to %q: %v", answer, text, err)
		}
		client, err := offers[0].accept(p)
		if err != nil {
			t.Fatalf("answer %q to %q: %v", answer, text, err)
		}

		if server.SendBits > client.RecvBits || client.SendBits > server.RecvBits ||
			server.SendTakeover && !client.RecvTakeover || client.SendTakeover && !server.RecvTakeover {
			t.Fatalf("answer %q to %q: server %+v, client %+v do not fit", answer, text, server, client)
		}
		for _, end := range []struct {
			o                *Params
			c                Deflate
			noSend, noRecv   bool
			canLimit, dialed bool
		}{
			{o: so, c: server, noSend: sServer, noRecv: sClient, canLimit: offers[0].offers[0].clientLimitable},
			{o: co, c: client, noSend: cClient, noRecv: cServer, canLimit: true, dialed: true},
		} {
			if end.o == nil {
				continue // an offer that came from nowhere
			}
			c, bits := end.c, end.o.windowBits()
			ok := c.SendBits >= 8 && c.RecvBits >= 8 && c.SendBits <= bits && c.RecvBits <= 15
			if c.RecvTakeover || end.canLimit {
				ok = ok && c.RecvBits <= bits
			}
			ok = ok && !(end.noSend && c.SendTakeover) && !(end.noRecv && c.RecvTakeover)
			ok = ok && (end.o.MemoryBudget == 0 || c.sendMemory()+c.recvMemory() <= end.o.MemoryBudget)
			if !ok {
				t.Fatalf("answer %q to %q: %+v with dialed %v makes %+v", answer, text, end.o, end.dialed, c)
			}
		}
	})
}
