package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// step is an expression of -x. It returns an error that is errNoMatch if an
// expectation was not met, and errClosed if it has closed the connection.
type step func(s *session) error

var (
	errNoMatch = errors.New("expect")
	errClosed  = errors.New("closed by the script")
)

// parseStep parses an expression: a verb and its argument.
func parseStep(text string) (step, error) {
	verb, arg, _ := strings.Cut(text, " ")
	switch verb {
	case "send":
		if !utf8.ValidString(arg) {
			return nil, errors.New("the text is not UTF-8")
		}
		return sendStep(websocket.Text, []byte(arg)), nil
	case "hex":
		data, err := parseHex(arg)
		return sendStep(websocket.Binary, data), err
	case "expect":
		pattern, err := regexp.Compile(arg)
		return expectStep(pattern), err
	case "sleep":
		d, err := time.ParseDuration(arg)
		return sleepStep(d), err
	case "ping":
		return pingStep, nil
	case "close":
		return parseClose(arg)
	}
	return nil, fmt.Errorf("no such expression: %q", verb)
}

func sendStep(typ websocket.MessageType, data []byte) step {
	return func(s *session) error { return s.conn.Write(context.Background(), typ, data) }
}

// expectStep waits for a message that matches, and passes over those before it.
func expectStep(pattern *regexp.Regexp) step {
	return func(s *session) error {
		timeout := time.After(s.cfg.timeout)
		for {
			select {
			case msg, ok := <-s.inbox:
				switch {
				case !ok:
					return fmt.Errorf("%w %q: the connection has ended", errNoMatch, pattern)
				case pattern.Match(matchable(msg)):
					return nil
				}
			case <-timeout:
				return fmt.Errorf("%w %q: no such message within %v", errNoMatch, pattern, s.cfg.timeout)
			}
		}
	}
}

// matchable returns the text of a message for regular expressions.
func matchable(msg websocket.Message) []byte {
	if msg.Type == websocket.Binary {
		return hex.AppendEncode(nil, msg.Data)
	}
	return msg.Data
}

func sleepStep(d time.Duration) step {
	return func(s *session) error {
		select {
		case <-time.After(d):
		case <-s.conn.Context().Done(): // the next step finds out
		}
		return nil
	}
}

func pingStep(s *session) error {
	rtt, err := s.conn.Ping(context.Background())
	if err == nil {
		s.status.Printf("ping: %v", short(rtt))
	}
	return err
}

func parseClose(arg string) (step, error) {
	code := websocket.StatusNormalClosure
	number, reason, _ := strings.Cut(arg, " ")
	if number != "" {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("close code: %w", err)
		}
		code = websocket.StatusCode(n)
	}
	return func(s *session) error {
		if err := s.conn.Close(code, reason); err != nil {
			return err
		}
		return errClosed
	}, nil
}

// runScript carries out the expressions, and closes the connection after the
// last one.
func (s *session) runScript() {
	defer close(s.scriptDone)
	for _, st := range s.cfg.script {
		switch err := st(s); {
		case err == nil:
			continue
		case errors.Is(err, errNoMatch):
			s.noMatch.Store(true)
			s.fail(err)
		case errors.Is(err, errClosed):
			s.closedByScript.Store(true)
		case websocket.CloseCode(err) != 0:
			s.failed.Store(true) // the receiving goroutine prints why
		default:
			s.fail(err)
		}
		return
	}
	s.close()
}

// deliver queues a message for the script. When the queue is full it blocks, so that
// the server has to wait, too.
func (s *session) deliver(msg websocket.Message) {
	msg.Data = bytes.Clone(msg.Data)
	select {
	case s.inbox <- msg:
	case <-s.scriptDone:
	}
}
