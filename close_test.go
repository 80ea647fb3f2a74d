package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"unicode/utf8"
)

// unsendable are the status codes that must not be in a close frame: unused
// (section 7.4.2), without a meaning (1004), never on the wire (1005, 1006,
// 1015), or not registered.
var unsendable = [][2]int{{0, 999}, {1004, 1006}, {1015, 2999}, {5000, 65535}}

func isUnsendable(code int) bool {
	for _, r := range unsendable {
		if code >= r[0] && code <= r[1] {
			return true
		}
	}
	return false
}

func TestEveryStatusCode(t *testing.T) {
	for i := range 1 << 16 {
		code, bad := StatusCode(i), isUnsendable(i)
		if code.sendable() == bad {
			t.Errorf("%d: sendable() = %v", i, !bad)
		}
		if i > 5100 && i%97 != 0 {
			continue
		}
		if (checkClose(code, "bye") != nil) != bad {
			t.Errorf("%d: checkClose = %v", i, checkClose(code, "bye"))
		}
		got, reason, err := parseClosePayload([]byte{byte(i >> 8), byte(i), 'o', 'k'})
		if bad {
			wantViolation(t, err, StatusProtocolError, "7.4")
			if i%100 == 0 && !strings.Contains(err.Error(), fmt.Sprint("code ", i, " ")) {
				t.Errorf("%d: the error does not tell the code: %v", i, err)
			}
		} else if got != code || reason != "ok" || err != nil {
			t.Errorf("%d: parseClosePayload = %d, %q, %v", i, got, reason, err)
		}
	}
}

func TestParseClosePayload(t *testing.T) {
	long := strings.Repeat("ü", 61) + "!" // 123 bytes
	for _, tt := range []struct {
		payload string
		code    StatusCode
		reason  string
		section string // of the violation; code is the answer to it
	}{
		{"", StatusNoStatus, "", ""},
		{"\x03\xe8", StatusNormalClosure, "", ""},
		{"\x03\xe9bye", StatusGoingAway, "bye", ""},
		{"\x13\x87\x00", 4999, "\x00", ""},
		{"\x0b\xb8Zürich 🙂 \ufffd", 3000, "Zürich 🙂 \ufffd", ""},
		{"\x03\xf6" + long, StatusBadGateway, long, ""},

		{"\x00", StatusProtocolError, "", "5.5.1"},
		{"\x03", StatusProtocolError, "", "5.5.1"},
		{"\xff", StatusProtocolError, "", "5.5.1"},
		{"\x00\x00", StatusProtocolError, "", "7.4"},
		{"\x03\xedno status", StatusProtocolError, "", "7.4"},
		{"\xff\xff", StatusProtocolError, "", "7.4"},
		{"\xe8\x03", StatusProtocolError, "", "7.4"}, // 1000 the wrong way round

		{"\x03\xe8\xff", StatusInvalidPayload, "", "5.5.1"},
		{"\x03\xe8bye\xc3", StatusInvalidPayload, "", "5.5.1"},          // cut short
		{"\x03\xe8\xbc", StatusInvalidPayload, "", "5.5.1"},             // begins in the middle
		{"\x03\xe8\xc0\xaf", StatusInvalidPayload, "", "5.5.1"},         // overlong
		{"\x03\xe8\xed\xa0\x80", StatusInvalidPayload, "", "5.5.1"},     // a surrogate
		{"\x03\xe8\xf4\x90\x80\x80", StatusInvalidPayload, "", "5.5.1"}, // above U+10FFFF
	} {
		code, reason, err := parseClosePayload([]byte(tt.payload))
		if tt.section != "" {
			wantViolation(t, err, tt.code, tt.section)
		} else if code != tt.code || reason != tt.reason || err != nil {
			t.Errorf("%q: got %d, %q, %v; want %d, %q", tt.payload, code, reason, err, tt.code, tt.reason)
		} else if again := appendClosePayload([]byte("x"), code, reason); string(again) != "x"+tt.payload {
			t.Errorf("%q encodes again to %q", tt.payload, again[1:])
		}
	}
}

func TestCheckClose(t *testing.T) {
	for _, tt := range []struct {
		code   StatusCode
		reason string
		want   string // part of the error
	}{
		{StatusNormalClosure, "", ""},
		{StatusNormalClosure, strings.Repeat("a", 123), ""},
		{4000, strings.Repeat("ü", 61) + "\x00", ""},
		{StatusNormalClosure, strings.Repeat("a", 124), "124 bytes, at most 123"},
		{StatusNormalClosure, strings.Repeat("a", 1<<16), "65536 bytes, at most 123"},
		{StatusNormalClosure, "a\xff", "not UTF-8"},
		{StatusNormalClosure, strings.Repeat("ü", 62)[:123], "not UTF-8"},
		{0, "", "code 0 must not be sent"},
		{StatusNoStatus, "", "1005 (no status code) must not be sent"},
		{StatusAbnormalClosure, "", "1006 (abnormal closure) must not be sent"},
		{StatusTLSHandshake, "", "1015 (TLS handshake failed) must not be sent"},
		{5000, "", "code 5000 must not be sent"},
	} {
		err := checkClose(tt.code, tt.reason)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%d, %q: %v", tt.code, tt.reason, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%d, %.20q: error %v does not say %q", tt.code, tt.reason, err, tt.want)
		}
	}
}

func TestStatusCodeString(t *testing.T) {
	for code, want := range map[StatusCode]string{
		0:                        "0",
		StatusNormalClosure:      "1000 (normal closure)",
		StatusGoingAway:          "1001 (going away)",
		StatusProtocolError:      "1002 (protocol error)",
		StatusUnsupportedData:    "1003 (unsupported data)",
		1004:                     "1004",
		StatusNoStatus:           "1005 (no status code)",
		StatusAbnormalClosure:    "1006 (abnormal closure)",
		StatusInvalidPayload:     "1007 (invalid payload)",
		StatusPolicyViolation:    "1008 (policy violation)",
		StatusMessageTooBig:      "1009 (message too big)",
		StatusMandatoryExtension: "1010 (mandatory extension)",
		StatusInternalError:      "1011 (internal error)",
		StatusServiceRestart:     "1012 (service restart)",
		StatusTryAgainLater:      "1013 (try again later)",
		StatusBadGateway:         "1014 (bad gateway)",
		StatusTLSHandshake:       "1015 (TLS handshake failed)",
		1016:                     "1016",
		4999:                     "4999",
		65535:                    "65535",
	} {
		if got := code.String(); got != want {
			t.Errorf("%d is called %q, want %q", uint16(code), got, want)
		}
	}
}

func TestCloseErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  CloseError
		want string
	}{
		{CloseError{Code: StatusNormalClosure, Remote: true}, `websocket: closed by the peer with 1000 (normal closure)`},
		{CloseError{Code: StatusNormalClosure}, `websocket: closed with 1000 (normal closure)`},
		{CloseError{Code: StatusNoStatus, Remote: true}, `websocket: closed by the peer with 1005 (no status code)`},
		{CloseError{Code: 4001, Reason: "kicked", Remote: true}, `websocket: closed by the peer with 4001: "kicked"`},
		{CloseError{Code: 4001, Reason: "line\nbreak"}, `websocket: closed with 4001: "line\nbreak"`},
		{CloseError{Code: StatusAbnormalClosure}, `websocket: connection lost`},
		{CloseError{Code: StatusAbnormalClosure, Err: io.ErrUnexpectedEOF}, `websocket: connection lost: unexpected EOF`},
		{CloseError{Code: StatusAbnormalClosure, Err: ErrDead}, `websocket: connection lost: peer did not answer the keepalive ping`},
		{CloseError{Code: StatusProtocolError, Reason: "as sent", Err: violation("5.4", "what the peer did")},
			`websocket: closed with 1002 (protocol error): what the peer did (RFC 6455, section 5.4)`},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestCloseErrorChain(t *testing.T) {
	cause := tooBig(3, 8, 10)
	end := &CloseError{Code: StatusMessageTooBig, Err: cause}
	var err error = fmt.Errorf("reading the feed: %w", end)

	for _, target := range []error{net.ErrClosed, ErrMessageTooBig, cause, end} {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
	for _, target := range []error{io.EOF, ErrDead, ErrConcurrentRead, io.ErrClosedPipe} {
		if errors.Is(err, target) {
			t.Errorf("%v is %v", err, target)
		}
	}
	var ce *CloseError
	if !errors.As(err, &ce) || ce != end {
		t.Errorf("errors.As finds the CloseError %v", ce)
	}
	wantViolation(t, err, StatusMessageTooBig, "7.4.1")
	if errors.Is(cause, net.ErrClosed) {
		t.Error("a ProtocolError alone is net.ErrClosed")
	}

	lost := &CloseError{Code: StatusAbnormalClosure, Err: io.ErrUnexpectedEOF}
	if !errors.Is(lost, io.ErrUnexpectedEOF) || !errors.Is(lost, net.ErrClosed) {
		t.Error("a lost connection is not io.ErrUnexpectedEOF and net.ErrClosed at once")
	}
	if err := (&CloseError{Code: StatusNormalClosure}).Unwrap(); err != nil {
		t.Errorf("a CloseError without a cause unwraps to %v", err)
	}
	if err := violation("5.4", "no cause").Unwrap(); err != nil {
		t.Errorf("a ProtocolError without a cause unwraps to %v", err)
	}
}

func TestCloseCode(t *testing.T) {
	end := &CloseError{Code: StatusGoingAway}
	for _, tt := range []struct {
		err  error
		want StatusCode
	}{
		{nil, 0},
		{io.EOF, 0},
		{net.ErrClosed, 0},
		{violation("5.4", "not yet a CloseError"), 0},
		{end, StatusGoingAway},
		{fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", end)), StatusGoingAway},
		{errors.Join(io.EOF, end), StatusGoingAway},
		{&CloseError{Code: StatusAbnormalClosure, Err: end}, StatusAbnormalClosure},
	} {
		if got := CloseCode(tt.err); got != tt.want {
			t.Errorf("CloseCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

// modelClosePayload is section 5.5.1 the slow way: the code to close with,
// the reason, and whether the payload was well-formed.
func modelClosePayload(p []byte) (code int, reason string, ok bool) {
	if len(p) == 0 {
		return 1005, "", true
	}
	if len(p) < 2 {
		return 1002, "", false
	}
	code, reason = int(p[0])*256+int(p[1]), string(p[2:])
	if isUnsendable(code) {
		return 1002, "", false
	}
	// A conversion to runes replaces what is not UTF-8, and nothing else.
	if string([]rune(reason)) != reason {
		return 1007, "", false
	}
	return code, reason, true
}

func FuzzClosePayload(f *testing.F) {
	for _, s := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xecx", "\x0b\xb8\xf0\x9f\x99\x82", "\x13\x88", "\x03\xe8\xed\xa0\x80"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		was := bytes.Clone(p)
		code, reason, err := parseClosePayload(p)
		want, wantReason, ok := modelClosePayload(p)
		if !bytes.Equal(p, was) {
			t.Fatal("parseClosePayload changed its input")
		}
		if !ok {
			var pe *ProtocolError
			if !errors.As(err, &pe) || int(pe.Code) != want {
				t.Fatalf("%q: error %v, want one of code %d", p, err, want)
			}
			return
		}
		if int(code) != want || reason != wantReason || err != nil {
			t.Fatalf("%q: got %d, %q, %v; want %d, %q", p, code, reason, err, want, wantReason)
		}
		if again := appendClosePayload(nil, code, reason); !bytes.Equal(again, p) {
			t.Fatalf("%q encodes again to %q", p, again)
		}
		// What may come may be sent, so that a close can be echoed.
		if err := checkClose(code, reason); len(p) > 0 && len(p) <= 125 && err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if !utf8.ValidString(reason) {
			t.Fatalf("%q: the reason is not UTF-8", p)
		}
	})
}
