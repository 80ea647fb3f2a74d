package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// show writes a message to standard output.
func (s *session) show(msg websocket.Message) error {
	var err error
	switch {
	case s.cfg.binary:
		_, err = s.stdout.Write(msg.Data)
	case msg.Type == websocket.Binary && s.cfg.hex:
		_, err = fmt.Fprintf(s.stdout, "%x\n", msg.Data)
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

// parseHex parses hex digits, with spaces anywhere between bytes.
func parseHex(text string) ([]byte, error) {
	return hex.DecodeString(strings.Join(strings.Fields(text), ""))
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

func isCharDevice(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
