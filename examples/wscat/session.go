package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// session is one connection and what it is connected with.
type session struct {
	cfg      *config
	conn     *websocket.Conn
	stdout   io.Writer   // written by the receiving goroutine only
	status   *log.Logger // to stderr, from every goroutine
	terminal bool        // stdout is one
	failed   atomic.Bool // standard input or output failed
	helpers  sync.WaitGroup
}

func newSession(cfg *config, stdout, stderr io.Writer) *session {
	return &session{cfg: cfg, stdout: stdout, status: log.New(stderr, "", 0), terminal: isTerminal(stdout)}
}

// refused tells why there is no connection.
func (s *session) refused(resp *http.Response, err error) {
	s.status.Print("wscat: ", printable(err.Error()))
	if resp == nil || resp.Body == nil {
		return
	}
	// Dial keeps no more than the beginning of the body, in memory, and its
	// error has the first line.
	body, _ := io.ReadAll(resp.Body)
	if text := strings.TrimSpace(string(body)); !strings.Contains(err.Error(), text) {
		s.status.Print(printable(text))
	}
}

// talk carries the session out and reports whether all of it went well. resp
// is the server's part of the handshake.
func (s *session) talk(ctx context.Context, c *websocket.Conn, resp *http.Response, stdin io.Reader) bool {
	s.conn = c
	defer s.helpers.Wait()
	connected := "connected to " + s.cfg.url
	if p := c.Subprotocol(); p != "" {
		connected += ", subprotocol " + p
	}
	if s.cfg.compress {
		// Dial has made sure that this is what was offered.
		settled := strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), ", ")
		if settled == "" {
			settled = "no compression"
		}
		connected += ", " + settled
	}
	s.status.Print(connected)

	stop := context.AfterFunc(ctx, func() { s.leave() })
	defer stop()
	if s.cfg.ping > 0 {
		s.helpers.Go(s.ping)
	}
	go s.send(stdin) // may wait for stdin for ever, so nobody waits for it
	err := s.receive()
	s.status.Print(printable(strings.TrimPrefix(err.Error(), "websocket: ")))
	closing := s.leave() // waits for the closing handshake, if one is under way
	if websocket.CloseCode(err) != websocket.StatusNormalClosure || s.failed.Load() {
		return false
	}
	if closing != nil {
		s.status.Print("wscat: ", printable(closing.Error()))
	}
	return closing == nil
}

// leave closes the connection, if it is open, and waits for its end. The
// receiving goroutine hears of it. The error is nil if both sides said goodbye.
func (s *session) leave() error { return s.conn.Close(websocket.StatusNormalClosure, "") }

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
	}
	return context.Cause(s.conn.Context())
}

// show writes a message to standard output.
func (s *session) show(msg websocket.Message) error {
	var err error
	switch {
	case s.cfg.binary:
		_, err = s.stdout.Write(msg.Data)
	case msg.Type == websocket.Binary && len(msg.Data) == 0:
		_, err = io.WriteString(s.stdout, "00000000\n") // where a dump of nothing ends
	case msg.Type == websocket.Binary:
		d := hex.Dumper(s.stdout)
		_, err = d.Write(msg.Data)
		err = errors.Join(err, d.Close())
	case s.terminal:
		_, err = io.WriteString(s.stdout, printable(string(msg.Data))+"\n")
	default:
		_, err = fmt.Fprintf(s.stdout, "%s\n", msg.Data)
	}
	return err
}

// send sends what stdin holds, and closes the connection at its end.
func (s *session) send(stdin io.Reader) {
	sendAll := s.sendLines
	if s.cfg.binary {
		sendAll = s.sendBlocks
	}
	switch err := sendAll(stdin); {
	case websocket.CloseCode(err) != 0:
		return // the receiving goroutine tells why
	case err != nil:
		s.fail(err)
		return
	case s.cfg.wait < 0:
		return
	}
	select {
	case <-s.conn.Context().Done():
	case <-time.After(s.cfg.wait):
		s.leave()
	}
}

func (s *session) sendLines(stdin io.Reader) error {
	in := bufio.NewReader(stdin)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("standard input: %w", err)
		}
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if !utf8.Valid(line) {
			return fmt.Errorf("line %d is not UTF-8, and cannot go out as text (see -binary)", n)
		}
		if err := s.conn.Write(context.Background(), websocket.Text, line); err != nil {
			return err
		}
	}
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

// printable replaces the control characters in text from the peer, except
// tabs and line feeds, by pictures of them: a terminal would obey them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n':
			return r
		case r < ' ':
			return '␀' + r
		case r == 0x7f:
			return '␡'
		case r >= 0x80 && r < 0xa0:
			return utf8.RuneError
		}
		return r
	}, text)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
