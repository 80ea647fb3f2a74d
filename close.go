package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket/internal/prefix"
)

// StatusCode tells why a connection was closed (RFC 6455, section 7.4).
// Codes 3000–3999 are for libraries and frameworks, 4000–4999 for
// applications.
type StatusCode uint16

// The registered status codes.
const (
	StatusNormalClosure      StatusCode = 1000 // the purpose is fulfilled
	StatusGoingAway          StatusCode = 1001 // the server shuts down, or the page was left
	StatusProtocolError      StatusCode = 1002 // the peer broke RFC 6455
	StatusUnsupportedData    StatusCode = 1003 // a type of message that this endpoint does not take
	StatusNoStatus           StatusCode = 1005 // never sent: the peer's close frame had no code
	StatusAbnormalClosure    StatusCode = 1006 // never sent: the connection ended without a close frame
	StatusInvalidPayload     StatusCode = 1007 // the payload contradicts its type, such as text that is not UTF-8
	StatusPolicyViolation    StatusCode = 1008 // a message that breaks a policy
	StatusMessageTooBig      StatusCode = 1009 // a message over the receiver's limit
	StatusMandatoryExtension StatusCode = 1010 // the client needs an extension that the server lacks
	StatusInternalError      StatusCode = 1011 // the server met an unexpected condition
	StatusServiceRestart     StatusCode = 1012 // reconnect in a moment
	StatusTryAgainLater      StatusCode = 1013 // overloaded: reconnect later
	StatusBadGateway         StatusCode = 1014 // a gateway got an invalid answer from upstream
	StatusTLSHandshake       StatusCode = 1015 // never sent: the TLS handshake failed
)

var statusNames = map[StatusCode]string{
	StatusNormalClosure:      "normal closure",
	StatusGoingAway:          "going away",
	StatusProtocolError:      "protocol error",
	StatusUnsupportedData:    "unsupported data",
	StatusNoStatus:           "no status code",
	StatusAbnormalClosure:    "abnormal closure",
	StatusInvalidPayload:     "invalid payload",
	StatusPolicyViolation:    "policy violation",
	StatusMessageTooBig:      "message too big",
	StatusMandatoryExtension: "mandatory extension",
	StatusInternalError:      "internal error",
	StatusServiceRestart:     "service restart",
	StatusTryAgainLater:      "try again later",
	StatusBadGateway:         "bad gateway",
	StatusTLSHandshake:       "TLS handshake failed",
}

// String returns the number, and the name where it has one.
func (c StatusCode) String() string {
	if name, ok := statusNames[c]; ok {
		return fmt.Sprintf("%d (%s)", uint16(c), name)
	}
	return fmt.Sprint(uint16(c))
}

// sendable reports whether a close frame may carry c, by RFC 6455, section 7.4, and
// the registry of that section.
func (c StatusCode) sendable() bool {
	switch {
	case c < 1000, c > 4999:
		return false
	case c < 3000:
		return c <= 1003 || c >= 1007 && c <= 1014
	}
	return true
}

// maxCloseReason is the size of the largest reason, in bytes: a control frame's
// payload less the code.
const maxCloseReason = maxControlPayload - 2

// appendClosePayload appends the payload of a close frame; code 1005 stands
// for an empty one.
func appendClosePayload(dst []byte, code StatusCode, reason string) []byte {
	if code == StatusNoStatus {
		return dst
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// parseClosePayload decodes the payload of a close frame (section 5.5.1).
func parseClosePayload(p []byte) (StatusCode, string, error) {
	switch {
	case len(p) == 0:
		return StatusNoStatus, "", nil
	case len(p) == 1:
		return 0, "", violation("5.5.1", "close frame with a payload of one byte")
	}
	code := StatusCode(binary.BigEndian.Uint16(p))
	if !code.sendable() {
		return 0, "", violation("7.4", "close frame with status code %d", uint16(code))
	}
	if !utf8.Valid(p[2:]) {
		return 0, "", &ProtocolError{Code: StatusInvalidPayload, Section: "5.5.1", Text: "close reason is not UTF-8"}
	}
	return code, string(p[2:]), nil
}

// checkClose returns an error for arguments of [Conn.Close] that must not be sent.
func checkClose(code StatusCode, reason string) error {
	if !code.sendable() {
		return fmt.Errorf("websocket: status code %v must not be sent", code)
	}
	if len(reason) > maxCloseReason {
		return fmt.Errorf("websocket: close reason of %d bytes, at most %d fit", len(reason), maxCloseReason)
	}
	if !utf8.ValidString(reason) {
		return errors.New("websocket: close reason is not UTF-8")
	}
	return nil
}

// CloseError says why and by whom a connection was ended. Once a connection
// has ended every call on it returns the same CloseError, which matches
// [net.ErrClosed].
type CloseError struct {
	// Code is the status code that was received or sent. It is
	// StatusNoStatus when the peer gave none, and StatusAbnormalClosure
	// when the connection ended without a close frame.
	Code StatusCode
	// Reason is the text that came with the code; the peer has chosen it if Remote is
	// set.
	Reason string
	// Remote tells that the peer closed first.
	Remote bool
	// Err is the reason why the connection failed: a [*ProtocolError], an error of the
	// network such as [io.ErrUnexpectedEOF], [ErrDead], or nil.
	Err error
}

func (e *CloseError) Error() string {
	var b strings.Builder
	b.WriteString("websocket: ")
	switch {
	case e.Code == StatusAbnormalClosure:
		b.WriteString("connection lost")
	case e.Remote:
		fmt.Fprintf(&b, "closed by the peer with %v", e.Code)
	default:
		fmt.Fprintf(&b, "closed with %v", e.Code)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "websocket: "))
	} else if e.Reason != "" {
		fmt.Fprintf(&b, ": %q", e.Reason)
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }

// Is makes every CloseError match [net.ErrClosed].
func (e *CloseError) Is(target error) bool { return target == net.ErrClosed }

// CloseCode returns the status code of the [CloseError] in err's chain, and
// 0 if there is none.
func CloseCode(err error) StatusCode {
	var ce *CloseError
	if errors.As(err, &ce) {
		return ce.Code
	}
	return 0
}

// peerLeft reports whether err says that the peer has closed the connection
// normally, which is the end of a stream.
func peerLeft(err error) bool {
	var ce *CloseError
	if !errors.As(err, &ce) || !ce.Remote {
		return false
	}
	switch ce.Code {
	case StatusNormalClosure, StatusGoingAway, StatusNoStatus:
		return true
	}
	return false
}

// ProtocolError is a breach of RFC 6455 by the peer.
type ProtocolError struct {
	Code    StatusCode // the status code that the connection is closed with
	Section string     // of RFC 6455, such as "5.4"; of another RFC with its name, such as "RFC 7692, section 7.2.2"
	Text    string     // what was wrong
	Err     error      // ErrMessageTooBig, what is wrong with compressed data, or nil
}

func (e *ProtocolError) Error() string { return "websocket: " + e.Text + e.where() }

func (e *ProtocolError) where() string {
	if strings.HasPrefix(e.Section, "RFC ") {
		return " (" + e.Section + ")"
	}
	return " (RFC 6455, section " + e.Section + ")"
}

// Unwrap returns e.Err.
func (e *ProtocolError) Unwrap() error { return e.Err }

// violation makes the error for a breach that is answered with 1002.
func violation(section, format string, args ...any) *ProtocolError {
	return &ProtocolError{Code: StatusProtocolError, Section: section, Text: fmt.Sprintf(format, args...)}
}

var (
	// ErrMessageTooBig is wrapped by the error for a message over [Options.ReadLimit];
	// its text says the limit and the size.
	ErrMessageTooBig = errors.New("websocket: message too big")
	// ErrConcurrentRead is returned by a read while another goroutine reads. The
	// connection is not affected.
	ErrConcurrentRead = errors.New("websocket: another goroutine is reading from this connection")
	// ErrDead is wrapped by the CloseError of a connection whose peer did
	// not answer the keepalive ping in time.
	ErrDead = errors.New("websocket: peer did not answer the keepalive ping")
)

// ErrMaybeSent is wrapped by the error of a [Conn.Write] that has ended early, with
// its context, although the message may arrive: it was on its way together with
// that of another call. If the error does not wrap ErrMaybeSent, the message does
// not arrive.
var ErrMaybeSent = errors.New("websocket: the message may have been sent")

func maybeSent(err error) error { return fmt.Errorf("%w (%w)", err, prefix.Trim(ErrMaybeSent)) }

// sendableClose returns the code and the reason that are sent instead of arguments
// that must not be sent.
func sendableClose(code StatusCode, reason string) (StatusCode, string) {
	switch {
	case code == StatusNoStatus:
		return code, ""
	case !code.sendable():
		code = StatusInternalError
	}
	return code, cutReason(strings.ToValidUTF8(reason, "\ufffd"))
}

// cutReason returns the beginning of reason, which is UTF-8, that fits into a close
// frame.
func cutReason(reason string) string {
	if len(reason) <= maxCloseReason {
		return reason
	}
	n := maxCloseReason
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

func badText() error {
	return &ProtocolError{Code: StatusInvalidPayload, Section: "8.1", Text: "text is not UTF-8"}
}

func tooBig(size, length, limit int64) error {
	// The sum of two lengths that are not negative fits 64 bits unsigned.
	return &ProtocolError{
		Code:    StatusMessageTooBig,
		Section: "7.4.1",
		Text:    fmt.Sprintf("message of %d bytes or more is over the read limit of %d", uint64(size)+uint64(length), limit),
		Err:     ErrMessageTooBig,
	}
}
