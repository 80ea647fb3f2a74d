package extension

import (
	"errors"
	"strings"
	"testing"
)

func TestDeflateOffer(t *testing.T) {
	const name = "permessage-deflate"
	type options = Params
	for _, tt := range []struct {
		opts  options
		offer string
		want  []string // for each offer, if the answer is no more than it must be
	}{
		{options{}, name + "; client_max_window_bits", []string{"send 15+ recv 15+"}},
		{options{WindowBits: 15}, name + "; client_max_window_bits", []string{"send 15+ recv 15+"}},
		{options{WindowBits: 10}, name + "; server_max_window_bits=10; client_max_window_bits=10, " + name + "; server_no_context_takeover; client_max_window_bits",
			[]string{"send 10+ recv 10+", "send 10+ recv 15"}},
		{options{WindowBits: 8}, name + "; server_max_window_bits=8; client_max_window_bits=8, " + name + "; server_no_context_takeover; client_max_window_bits",
			[]string{"send 8+ recv 8+", "send 8+ recv 15"}},
		{options{ServerNoContextTakeover: true}, name + "; server_no_context_takeover; client_max_window_bits, " + name + "; client_max_window_bits", []string{"send 15+ recv 15", "send 15+ recv 15+"}},
		{options{ClientNoContextTakeover: true}, name + "; client_no_context_takeover; client_max_window_bits", []string{"send 15 recv 15+"}},
		{options{ServerNoContextTakeover: true, ClientNoContextTakeover: true, WindowBits: 14},
			name + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=14; client_max_window_bits=14" +
				", " + name + "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
			[]string{"send 14 recv 14", "send 14 recv 15"}},
		{options{MemoryBudget: keeps(5, 15)}, name + "; client_max_window_bits", []string{"send 15+ recv 15+"}},
		{options{MemoryBudget: keeps(5, 15) - 1},
			name + "; server_max_window_bits=14; client_max_window_bits=14, " + name + "; server_no_context_takeover; client_max_window_bits, " + name + "; client_max_window_bits",
			[]string{"send 14+ recv 14+", "send 14+ recv 15", "send 14+ recv 15+"}},
		{options{MemoryBudget: keeps(9, 15) - 1, Level: 9},
			name + "; server_max_window_bits=14; client_max_window_bits=14, " + name + "; server_no_context_takeover; client_max_window_bits, " + name + "; client_max_window_bits",
			[]string{"send 14+ recv 14+", "send 14+ recv 15", "send 14+ recv 15+"}},
		{options{MemoryBudget: keeps(5, 9)}, name + "; server_max_window_bits=9; client_max_window_bits=9, " + name + "; server_no_context_takeover; client_max_window_bits",
			[]string{"send 9+ recv 9+", "send 9+ recv 15"}},
		{options{MemoryBudget: keeps(5, 9) - 1}, name + "; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits" +
			", " + name + "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
			[]string{"send 15 recv 10+", "send 15 recv 15"}},
		{options{MemoryBudget: 1}, name + "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits", []string{"send 15 recv 15"}},
		// A window of 32 KiB fits, and what we send is limited to the rest.
		{options{MemoryBudget: 32768}, name + "; server_max_window_bits=13; client_max_window_bits=13" +
			", " + name + "; server_no_context_takeover; client_max_window_bits" +
			", " + name + "; client_max_window_bits",
			[]string{"send 13+ recv 13+", "send 13+ recv 15", "send 13 recv 15+"}},
		{options{MemoryBudget: 32768 + sends(5, 10)}, name + "; server_max_window_bits=13; client_max_window_bits=13" +
			", " + name + "; server_no_context_takeover; client_max_window_bits" +
			", " + name + "; client_max_window_bits",
			[]string{"send 13+ recv 13+", "send 13+ recv 15", "send 10+ recv 15+"}},
		{options{MemoryBudget: 32767, ServerNoContextTakeover: true}, name + "; server_no_context_takeover; client_max_window_bits=14", []string{"send 14+ recv 15"}},
		{options{MemoryBudget: 8000, ServerNoContextTakeover: true}, name + "; server_no_context_takeover; client_max_window_bits=11", []string{"send 11+ recv 15"}},
	} {
		if got := wanted(&tt.opts).Offer(); got != tt.offer {
			t.Errorf("%+v\ngot  %q\nwant %q", tt.opts, got, tt.offer)
			continue
		}
		for i, least := range newDeflateOffer(&tt.opts).offers {
			least.clientNoTakeover, least.clientLimitable, least.clientBits = false, false, 0
			a, err := wanted(&tt.opts).Accept([]string{least.String()})
			c := a.Deflate
			if got := show(c); got != tt.want[i] || err != nil {
				t.Errorf("%+v\nanswer %q\ngot  %q, %v\nwant %q", tt.opts, least, got, err, tt.want[i])
			}
			if budget := tt.opts.MemoryBudget; budget != 0 && c.sendMemory()+c.recvMemory() > budget {
				t.Errorf("%+v\nanswer %q\nkeeps %d + %d bytes", tt.opts, least, c.sendMemory(), c.recvMemory())
			}
		}
	}
	if wanted(nil).Offer() != "" {
		t.Error("an offer of nothing")
	}
}

// TestDeflateAnswer: what a client takes, and what it does not.
func TestDeflateAnswer(t *testing.T) {
	const name = "permessage-deflate"
	type options = Params
	var (
		plain   = &options{}
		small   = &options{WindowBits: 10}
		without = &options{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
		budget  = &options{MemoryBudget: 8192}
	)
	for _, tt := range []struct {
		opts   *options
		answer string
		want   string // what it comes to, or
		rule   string // what it breaks, and
		text   string // part of the error
	}{
		{opts: plain, answer: ""},
		{opts: plain, answer: " , ,"},
		{opts: nil, answer: ""},
		{opts: plain, answer: name, want: "send 15+ recv 15+"},
		{opts: plain, answer: " ," + name + " ,", want: "send 15+ recv 15+"},
		{opts: plain, answer: name + "; server_no_context_takeover", want: "send 15+ recv 15"}, // unasked
		{opts: plain, answer: name + "; client_no_context_takeover", want: "send 15 recv 15+"}, // unasked
		{opts: plain, answer: name + "; server_max_window_bits=9", want: "send 15+ recv 9+"},   // unasked
		{opts: plain, answer: name + "; server_max_window_bits=8", want: "send 15+ recv 8+"},
		{opts: plain, answer: name + "; server_max_window_bits=15", want: "send 15+ recv 15+"},
		{opts: plain, answer: name + "; client_max_window_bits=8", want: "send 8+ recv 15+"},
		{opts: plain, answer: name + `; client_max_window_bits="12"`, want: "send 12+ recv 15+"},
		{opts: plain, answer: name + "; client_max_window_bits=15", want: "send 15+ recv 15+"},
		{opts: plain, answer: name + "; client_max_window_bits=12; server_max_window_bits=11; client_no_context_takeover; server_no_context_takeover",
			want: "send 12 recv 11"},

		{opts: small, answer: name + "; server_max_window_bits=10", want: "send 10+ recv 10+"}, // we keep to what we said
		{opts: small, answer: name + "; server_max_window_bits=8; client_max_window_bits=9", want: "send 9+ recv 8+"},
		{opts: small, answer: name + "; server_max_window_bits=10; client_max_window_bits=10", want: "send 10+ recv 10+"},
		{opts: without, answer: name + "; server_no_context_takeover", want: "send 15 recv 15"}, // here too
		{opts: without, answer: name + "; server_no_context_takeover; client_no_context_takeover", want: "send 15 recv 15"},

		{opts: nil, answer: name, rule: "", text: `server uses extension "permessage-deflate", which was not offered`},
		{opts: nil, answer: "a; b=c, " + name, text: `server uses extension "a; b=c", which was not offered`},
		{opts: plain, answer: "a", text: `server uses extension "a", which was not offered`},
		{opts: plain, answer: "Permessage-Deflate", text: "which was not offered"},
		{opts: plain, answer: name + ", a", text: `server uses extension "a", which was not offered`},
		{opts: plain, answer: name + ", " + name, text: "server uses permessage-deflate 2 times, want once"},

		{opts: plain, answer: name + "; a", rule: "7.1", text: `server's permessage-deflate has no parameter "a"`},
		{opts: plain, answer: name + "; server_no_context_takeover; server_no_context_takeover", rule: "7.1", text: "has parameter server_no_context_takeover twice"},
		{opts: plain, answer: name + "; client_no_context_takeover; client_no_context_takeover", rule: "7.1", text: "has parameter client_no_context_takeover twice"},
		{opts: plain, answer: name + "; server_max_window_bits=9; server_max_window_bits=9", rule: "7.1", text: "has parameter server_max_window_bits twice"},
		{opts: plain, answer: name + "; client_max_window_bits=9; client_max_window_bits=9", rule: "7.1", text: "has parameter client_max_window_bits twice"},
		{opts: plain, answer: name + "; server_no_context_takeover=1", rule: "7.1", text: `has parameter server_no_context_takeover with value "1"`},
		{opts: plain, answer: name + "; client_no_context_takeover=1", rule: "7.1", text: `has parameter client_no_context_takeover with value "1"`},
		{opts: plain, answer: name + "; server_max_window_bits", rule: "7.1", text: "has parameter server_max_window_bits without a value"},
		{opts: plain, answer: name + "; server_max_window_bits=7", rule: "7.1", text: `has parameter server_max_window_bits with value "7"`},
		{opts: plain, answer: name + "; server_max_window_bits=16", rule: "7.1", text: `with value "16"`},
		{opts: plain, answer: name + "; server_max_window_bits=09", rule: "7.1", text: `with value "09"`},
		{opts: plain, answer: name + "; client_max_window_bits=7", rule: "7.1", text: `has parameter client_max_window_bits with value "7"`},
		{opts: plain, answer: name + "; client_max_window_bits=16", rule: "7.1", text: `with value "16"`},

		{opts: plain, answer: name + "; client_max_window_bits", rule: "7.1.2.2", text: "server answers client_max_window_bits without a value"},

		// Not what was asked for, but within the options.
		{opts: small, answer: name + "; server_max_window_bits=10; client_max_window_bits=11", want: "send 10+ recv 10+"},
		{opts: small, answer: name + "; server_no_context_takeover; client_no_context_takeover", want: "send 10 recv 15"}, // gorilla
		{opts: small, answer: name + "; server_no_context_takeover; server_max_window_bits=12", want: "send 10+ recv 12"},
		{opts: without, answer: name + "; client_no_context_takeover", want: "send 15 recv 15+"}, // tornado
		{opts: without, answer: name, want: "send 15 recv 15+"},
		{opts: budget, answer: name + "; server_max_window_bits=12", want: "send 10+ recv 12+"}, // gws
		{opts: budget, answer: name + "; server_max_window_bits=13", want: "send 11 recv 13+"},
		{opts: budget, answer: name + "; server_no_context_takeover", want: "send 11+ recv 15"},

		// Beyond them.
		{opts: small, answer: name + "; server_max_window_bits=11", rule: "7.1.2.1",
			text: "server answers server_max_window_bits=11 and leaves out server_no_context_takeover, so that 2048 bytes would be kept between messages, " +
				"and CompressionOptions allows 1024; set WindowBits to 11, or turn Compression off"},
		{opts: small, answer: name + "; client_max_window_bits=10", rule: "7.1.2.1",
			text: "server leaves out server_max_window_bits and server_no_context_takeover, so that 32768 bytes would be kept between messages, " +
				"and CompressionOptions allows 1024; set WindowBits to 15, or turn Compression off"},
		{opts: budget, answer: name, rule: "7.1.2.1",
			text: "and CompressionOptions allows 8192; set MemoryBudget to 32768 or more, or turn Compression off"},
		{opts: &options{MemoryBudget: 512, WindowBits: 10, ServerNoContextTakeover: true}, answer: name + "; server_max_window_bits=11", rule: "7.1.2.1",
			text: "and CompressionOptions allows 512; set WindowBits to 11 and MemoryBudget to 2048 or more, or turn Compression off"},
	} {
		a, err := wanted(tt.opts).Accept([]string{tt.answer})
		c := a.Deflate
		if got := show(c); got != tt.want {
			t.Errorf("%+v\nanswer %q\ngot %q, want %q", tt.opts, tt.answer, got, tt.want)
		}
		if tt.opts != nil && tt.opts.MemoryBudget != 0 && c.sendMemory()+c.recvMemory() > tt.opts.MemoryBudget {
			t.Errorf("%+v\nanswer %q\nkeeps %d + %d bytes", tt.opts, tt.answer, c.sendMemory(), c.recvMemory())
		}
		var rule *Error
		switch {
		case tt.text == "" && err == nil:
		case tt.text == "" || err == nil || !strings.Contains(err.Error(), tt.text):
			t.Errorf("%+v\nanswer %q: error %v, want %q", tt.opts, tt.answer, err, tt.text)
		case errors.As(err, &rule) != (tt.rule != "") || rule != nil && rule.Rule != "RFC 7692, section "+tt.rule:
			t.Errorf("%+v\nanswer %q: error %q breaks %+v, want %q", tt.opts, tt.answer, err, rule, tt.rule)
		}
	}
}

// FuzzDeflateAnswer: whatever a server answers, the connection keeps to the
// options, and to what the server says that it can receive.
func FuzzDeflateAnswer(f *testing.F) {
	const name = "permessage-deflate"
	f.Add(name, uint8(0), uint8(0), uint32(0), false, false)
	f.Add(name+"; server_no_context_takeover; client_no_context_takeover", uint8(9), uint8(3), uint32(5000), true, false)
	f.Add(name+"; server_max_window_bits=12; client_max_window_bits=9", uint8(1), uint8(0), uint32(8192), false, false)
	f.Add(name+"; client_max_window_bits=8", uint8(1), uint8(4), uint32(33_000), false, true)
	f.Fuzz(func(t *testing.T, answer string, level, window uint8, budget uint32, server, client bool) {
		o := fuzzParams(level, window, budget, server, client)
		list, err := parse([]string{answer})
		if err != nil {
			return
		}
		a, err := wanted(o).Accept([]string{answer})
		c := a.Deflate
		if c == (Deflate{}) {
			if err == nil && len(list) > 0 {
				t.Fatalf("%+v, answer %q: neither compression nor an error", o, answer)
			}
			return
		}
		p, err := parseDeflate(list[0].params)
		if err != nil {
			t.Fatalf("answer %q passed: %v", answer, err)
		}
		switch {
		case c.SendBits > o.windowBits() || p.clientBits != 0 && c.SendBits > p.clientBits,
			c.SendTakeover && (p.clientNoTakeover || client),
			c.RecvBits != p.serverWindow() || c.RecvTakeover == p.serverNoTakeover,
			c.RecvTakeover && c.RecvBits > o.windowBits(),
			o.MemoryBudget != 0 && c.sendMemory()+c.recvMemory() > o.MemoryBudget:
			t.Fatalf("%+v, answer %q: %+v", o, answer, c)
		}
	})
}
