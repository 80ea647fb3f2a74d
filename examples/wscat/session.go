package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// session is one connection, with its input and output.
type session struct {
	cfg      *config
	conn     *websocket.Conn
	stdout   io.Writer   // written by the receiving goroutine only
	status   *log.Logger // to stderr, from every goroutine
	terminal bool        // stdout is one
	failed   atomic.Bool // standard input or output failed, or the script
	helpers  sync.WaitGroup

	// Of a script; see script.go.
	inbox          chan websocket.Message // closed when the connection has ended
	scriptDone     chan struct{}          // closed when the script has ended
	noMatch        atomic.Bool            // an expectation was not met
	closedByScript atomic.Bool
}

// inboxSize is how many messages wait for the next expect of a script.
const inboxSize = 1024

func newSession(cfg *config, stdout, stderr io.Writer) *session {
	return &session{
		cfg: cfg, stdout: stdout, status: log.New(stderr, "", 0), terminal: isCharDevice(stdout),
		inbox: make(chan websocket.Message, inboxSize), scriptDone: make(chan struct{}),
	}
}

// run serves the session and returns the exit code. resp is the server's answer to the
// handshake.
func (s *session) run(ctx context.Context, c *websocket.Conn, resp *http.Response, stdin io.Reader) int {
	s.conn = c
	defer s.helpers.Wait()
	lines, restore := s.openTerminal(stdin)
	defer restore()
	s.status.Print(s.connected(resp))

	stop := context.AfterFunc(ctx, func() { s.close() })
	defer stop()
	if s.cfg.ping > 0 {
		s.helpers.Go(s.ping)
	}
	if len(s.cfg.script) > 0 {
		go s.runScript()
	} else {
		close(s.scriptDone)
		go s.send(stdin, lines) // not waited for, since it may wait for stdin for ever
	}
	err := s.receive()
	close(s.inbox)
	s.status.Print(printable(strings.TrimPrefix(err.Error(), "websocket: ")))
	closing := s.close() // waits for the closing handshake, if one is under way
	<-s.scriptDone
	normal := websocket.CloseCode(err) == websocket.StatusNormalClosure || s.closedByScript.Load()
	switch {
	case s.noMatch.Load():
		return exitNoMatch
	case !normal || s.failed.Load():
		return exitFailed
	case closing != nil:
		s.status.Print("wscat: ", printable(closing.Error()))
		return exitFailed
	}
	return 0
}

// connected prints the result of the handshake.
func (s *session) connected(resp *http.Response) string {
	text := "connected to " + s.cfg.url
	if p := s.conn.Subprotocol(); p != "" {
		text += ", subprotocol " + p
	}
	if s.cfg.compress {
		// Dial has checked that this was offered.
		negotiated := strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), ", ")
		if negotiated == "" {
			negotiated = "no compression"
		}
		text += ", " + negotiated
	}
	return text
}

// close closes the connection, if it is open, and waits for its end, which also ends
// receive. The error is nil after a closing handshake.
func (s *session) close() error { return s.conn.Close(websocket.StatusNormalClosure, "") }

// fail closes the connection because of err, which is not its own.
func (s *session) fail(err error) {
	if s.failed.CompareAndSwap(false, true) {
		s.status.Print("wscat: ", err)
	}
	s.conn.Close(websocket.StatusGoingAway, "")
}

// receive shows messages until the connection ends and returns why it did.
func (s *session) receive() error {
	for msg, err := range s.conn.Messages(context.Background()) {
		if err != nil {
			return err
		}
		if s.failed.Load() {
			continue // on its way out
		}
		if err := s.show(msg); err != nil {
			// Close waits for the peer's answer, which arrives here.
			s.helpers.Go(func() { s.fail(fmt.Errorf("standard output: %w", err)) })
		}
		if len(s.cfg.script) > 0 {
			s.deliver(msg)
		}
	}
	return context.Cause(s.conn.Context())
}

// send sends the input, and closes the connection at its end.
func (s *session) send(stdin io.Reader, lines lineReader) {
	var err error
	if s.cfg.binary {
		err = s.sendBlocks(stdin)
	} else {
		err = s.sendLines(lines)
	}
	switch {
	case websocket.CloseCode(err) != 0:
		return // the receiving goroutine prints why
	case err != nil:
		s.fail(err)
		return
	case s.cfg.wait < 0:
		return
	}
	select {
	case <-s.conn.Context().Done():
	case <-time.After(s.cfg.wait):
		s.close()
	}
}

// lineReader reads lines, without their endings. At the end of the last one the
// error is io.EOF.
type lineReader interface {
	ReadLine() (string, error)
}

// plainLines are the lines of a file or a pipe.
type plainLines struct{ in *bufio.Reader }

func (p plainLines) ReadLine() (string, error) {
	line, err := p.in.ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil // the last line may lack a line feed
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), err
}

// sendLines sends a message for each line.
func (s *session) sendLines(lines lineReader) error {
	for n := 1; ; n++ {
		line, err := lines.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		typ, data, err := s.encode(line)
		if err != nil {
			return fmt.Errorf("line %d %w", n, err)
		}
		if err := s.conn.Write(context.Background(), typ, data); err != nil {
			return err
		}
	}
}

// encode makes a message of a line.
func (s *session) encode(line string) (websocket.MessageType, []byte, error) {
	if s.cfg.hex {
		data, err := parseHex(line)
		if err != nil {
			err = fmt.Errorf("is not hex: %w", err)
		}
		return websocket.Binary, data, err
	}
	if !utf8.ValidString(line) {
		return 0, nil, errors.New("is not UTF-8, and cannot go out as text (see -binary)")
	}
	return websocket.Text, []byte(line), nil
}

func (s *session) sendBlocks(stdin io.Reader) error {
	block := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(block)
		if n > 0 {
			if err := s.conn.Write(context.Background(), websocket.Binary, block[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
}

// ping measures the round trip at every interval.
func (s *session) ping() {
	tick := time.NewTicker(s.cfg.ping)
	defer tick.Stop()
	for {
		select {
		case <-s.conn.Context().Done():
			return
		case <-tick.C:
		}
		rtt, err := s.conn.Ping(context.Background())
		if err != nil {
			return
		}
		s.status.Printf("ping: %v", rtt.Round(time.Microsecond))
	}
}
