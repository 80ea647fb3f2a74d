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
// net/http reads from one goroutine, and no more after takeOver.
type answerConn struct {
	net.Conn
	owner *transport
	limit int // of a head, in bytes

	// For the reader.
	buf     []byte // read and not given to net/http yet
	ready   int    // how much of buf net/http may have
	phase   answerPhase
	scanned int // how much of buf[ready:] has no end of a head

	mu       sync.Mutex // failed may run while net/http still reads
	first    []byte     // guarded by mu: the first bytes that came
	complete bool       // guarded by mu: the head of the answer was complete
	err      error      // guarded by mu: the first error of a read or write
}

// answerPhase says what follows answerConn.buf[:ready].
type answerPhase uint8

const (
	phaseHead     answerPhase = iota // the head of a response
	phaseBody                        // bytes that net/http reads unchanged
	phaseSwitched                    // another protocol
)

// maxFirst is how many of the server's first bytes an error may show.
const maxFirst = 64

// NetConn returns the connection under c, as the method of a [tls.Conn] does.
func (c *answerConn) NetConn() net.Conn { return c.Conn }

func (c *answerConn) Read(p []byte) (int, error) {
	for c.ready == 0 && c.phase == phaseHead && len(p) > 0 {
		buf := make([]byte, 4<<10)
		n, err := retry.Read(c.Conn, buf)
		c.buf = append(c.buf, buf[:n]...)
		c.record(buf[:n], err)
		c.advance()
		if err != nil && c.ready == 0 {
			c.ready, c.phase = len(c.buf), phaseBody // the part of a head
			if c.ready == 0 {
				return 0, err
			}
		}
	}
	switch {
	case c.ready > 0:
		n := copy(p, c.buf[:c.ready])
		c.buf, c.ready = c.buf[n:], c.ready-n
		return n, nil
	case c.phase == phaseSwitched:
		return 0, errSwitched
	}
	n, err := retry.Read(c.Conn, p)
	c.record(p[:n], err)
	return n, err
}

// advance makes complete heads ready for net/http.
func (c *answerConn) advance() {
	for c.phase == phaseHead {
		head := c.buf[c.ready:]
		n := headLen(head, c.scanned)
		if n == 0 && len(c.buf) < c.limit && mayBeHTTP(head) {
			c.scanned = len(head)
			return
		}
		c.scanned = 0
		if n == 0 || !mayBeHTTP(head) { // net/http returns the error
			c.ready, c.phase = len(c.buf), phaseBody
			return
		}
		status := headStatus(head[:n])
		if status/100 != 1 || status == 101 {
			c.mu.Lock()
			c.complete = true
			c.mu.Unlock()
		}
		switch {
		case status == 101:
			edited := keepUpgrade(head[:n:n])
			c.buf = append(c.buf[:c.ready:c.ready], append(edited, head[n:]...)...)
			c.ready += len(edited)
			c.phase = phaseSwitched
		case status/100 == 1: // an interim response
			c.ready += n
		default:
			c.ready, c.phase = len(c.buf), phaseBody
		}
	}
}

func (c *answerConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.record(nil, err)
	return n, err
}

// record records the first bytes and the first error.
func (c *answerConn) record(b []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxFirst - len(c.first); room > 0 {
		c.first = append(c.first, b[:min(len(b), room)]...)
	}
	if c.err == nil {
		c.err = err
	}
}

// received returns the first bytes that came, whether the head of an answer is
// complete, and the connection's first error.
func (c *answerConn) received() (begin []byte, whole bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.first), c.complete, c.err
}

// takeOver returns the connection and the bytes that have been read after a 101
// response. The caller ensures that net/http no longer uses the connection.
func (c *answerConn) takeOver() (net.Conn, []byte) { return c.Conn, c.buf[c.ready:] }

// headLen returns the length of the response head at the beginning of b, with the
// empty line, or 0 if the head is not complete. The first scanned bytes hold no
// end of a head.
func headLen(b []byte, scanned int) int {
	for n := max(scanned-len("\n\r"), 0); ; n++ {
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
