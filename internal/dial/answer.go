package dial

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/retry"
)

// answerConn is the connection that net/http writes a handshake to and reads
// the answer from. It reads each response head completely before net/http does.
//
//   - From a 101 response it removes "close" among the options of Connection,
//     if "Upgrade" is there, too. Jetty 9 and others send both. It means
//     nothing for a connection that is no longer HTTP, but net/http would
//     remove all of Connection and close.
//   - After a 101 response it gives net/http nothing: the bytes that follow
//     belong to the new owner of the connection.
//   - It keeps the first bytes that came, for an error message.
//
// net/http reads from one goroutine, and no more after release.
type answerConn struct {
	net.Conn
	owner *transport
	limit int // of a head, in bytes

	// For the reader.
	held  []byte // read and not given to net/http yet
	ready int    // how much of held net/http may have
	phase answerPhase
	known int // how much of held[ready:] has no end of a head

	mu    sync.Mutex // failed may run while net/http still reads
	begin []byte     // guarded by mu: the first bytes that came
	whole bool       // guarded by mu: the head of the answer was complete
	err   error      // guarded by mu: the first error of a read or write
}

// answerPhase says what follows answerConn.held[:ready].
type answerPhase uint8

const (
	phaseHead     answerPhase = iota // the head of a response
	phaseBody                        // bytes that net/http reads unchanged
	phaseSwitched                    // another protocol
)

// maxAnswerBegin is how many of the server's first bytes an error may show.
const maxAnswerBegin = 64

// NetConn returns the connection under c, as the method of a [tls.Conn] does.
func (c *answerConn) NetConn() net.Conn { return c.Conn }

func (c *answerConn) Read(p []byte) (int, error) {
	for c.ready == 0 && c.phase == phaseHead && len(p) > 0 {
		buf := make([]byte, 4<<10)
		n, err := retry.Read(c.Conn, buf)
		c.held = append(c.held, buf[:n]...)
		c.note(buf[:n], err)
		c.advance()
		if err != nil && c.ready == 0 {
			c.ready, c.phase = len(c.held), phaseBody // the part of a head
			if c.ready == 0 {
				return 0, err
			}
		}
	}
	switch {
	case c.ready > 0:
		n := copy(p, c.held[:c.ready])
		c.held, c.ready = c.held[n:], c.ready-n
		return n, nil
	case c.phase == phaseSwitched:
		return 0, errSwitched
	}
	n, err := retry.Read(c.Conn, p)
	c.note(p[:n], err)
	return n, err
}

// advance makes complete heads ready for net/http.
func (c *answerConn) advance() {
	for c.phase == phaseHead {
		head := c.held[c.ready:]
		n := headLen(head, c.known)
		if n == 0 && len(c.held) < c.limit && mayBeHTTP(head) {
			c.known = len(head)
			return
		}
		c.known = 0
		if n == 0 || !mayBeHTTP(head) { // net/http returns the error
			c.ready, c.phase = len(c.held), phaseBody
			return
		}
		status := headStatus(head[:n])
		if status/100 != 1 || status == 101 {
			c.mu.Lock()
			c.whole = true
			c.mu.Unlock()
		}
		switch {
		case status == 101:
			edited := keepUpgrade(head[:n:n])
			c.held = append(c.held[:c.ready:c.ready], append(edited, head[n:]...)...)
			c.ready += len(edited)
			c.phase = phaseSwitched
		case status/100 == 1: // an interim response
			c.ready += n
		default:
			c.ready, c.phase = len(c.held), phaseBody
		}
	}
}

func (c *answerConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.note(nil, err)
	return n, err
}

// note records the first bytes and the first error.
func (c *answerConn) note(b []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxAnswerBegin - len(c.begin); room > 0 {
		c.begin = append(c.begin, b[:min(len(b), room)]...)
	}
	if c.err == nil {
		c.err = err
	}
}

// seen returns the first bytes that came, whether the head of an answer is
// complete, and the connection's first error.
func (c *answerConn) seen() (begin []byte, whole bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.begin), c.whole, c.err
}

// release returns the connection and the bytes that have been read after a 101
// response. The caller ensures that net/http no longer uses the connection.
func (c *answerConn) release() (net.Conn, []byte) { return c.Conn, c.held[c.ready:] }

// headLen returns the length of the response head at the beginning of b, with the
// empty line, or 0 if the head is not complete. The first known bytes hold no end
// of a head.
func headLen(b []byte, known int) int {
	for n := max(known-len("\n\r"), 0); ; n++ {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return 0
		}
		n += i
		switch rest := b[n+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return n + 2
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return n + 3
		}
	}
}

// headStatus returns the status of a head, or 0 if it is malformed.
func headStatus(head []byte) int {
	line, _, _ := strings.Cut(string(head[:min(len(head), 16)]), "\n")
	_, status, _ := strings.Cut(line, " ")
	status = strings.TrimLeft(status, " ") // as net/http does
	n, err := strconv.ParseUint(status[:min(len(status), 3)], 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// mayBeHTTP reports whether b, which may be short, begins as a response does.
func mayBeHTTP(b []byte) bool {
	const prefix = "HTTP/"
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// keepUpgrade removes the element "close" from the lines of Connection in a
// head that lists "upgrade" there, too. Else it returns the head as it is.
func keepUpgrade(head []byte) []byte {
	lines := headerLines(head)
	closes, upgrades := false, false
	for _, line := range lines {
		for _, item := range connectionItems(line) {
			closes = closes || fields.SameToken(item, "close")
			upgrades = upgrades || fields.SameToken(item, "upgrade")
		}
	}
	if !closes || !upgrades {
		return head
	}
	var kept []byte
	for _, line := range lines {
		items := connectionItems(line)
		if items == nil {
			kept = append(kept, line...)
			continue
		}
		var rest []string
		for _, item := range items {
			if !fields.SameToken(item, "close") {
				rest = append(rest, item)
			}
		}
		if rest != nil {
			kept = append(kept, "Connection: "+strings.Join(rest, ", ")+"\r\n"...)
		}
	}
	return kept
}

// headerLines cuts a head into its lines, each with its end and with the lines
// that continue it (RFC 9112, section 5.2).
func headerLines(head []byte) (lines []string) {
	for line := range strings.Lines(string(head)) {
		if last := len(lines) - 1; last > 0 && (line[0] == ' ' || line[0] == '\t') {
			lines[last] += line
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// connectionItems returns the elements of a line of Connection, nil if it is
// another line or there are none.
func connectionItems(line string) (items []string) {
	name, value, _ := strings.Cut(line, ":")
	if !fields.SameToken(name, "Connection") {
		return nil
	}
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.Trim(item, " \t\r\n"); item != "" {
			items = append(items, item)
		}
	}
	return items
}
