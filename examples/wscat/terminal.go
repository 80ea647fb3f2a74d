package main

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/term"
)

const prompt = "> "

// openTerminal returns a reader for the lines of stdin. If stdin and stdout are
// terminals the lines can be edited, and output in the meantime goes above the line
// that is being typed. restore restores the terminal; it may be called while a line is
// still being read.
func (s *session) openTerminal(stdin io.Reader) (lines lineReader, restore func()) {
	in, isFile := stdin.(*os.File)
	out, isTerminal := s.stdout.(*os.File)
	if !isFile || !isTerminal || s.cfg.binary || len(s.cfg.script) > 0 ||
		!term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return plainLines{bufio.NewReader(stdin)}, func() {}
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		s.status.Print("wscat: no line editing: ", err)
		return plainLines{bufio.NewReader(stdin)}, func() {}
	}
	e := newEditor(in, out)
	stderr := s.status.Writer()
	s.stdout = e
	s.status.SetOutput(e)
	return e, func() {
		s.stdout = out
		s.status.SetOutput(stderr)
		term.Restore(int(in.Fd()), before) // fails only if the terminal is gone
		io.WriteString(out, "\r\x1b[K")    // in the place of the prompt
	}
}

// editor reads lines from a terminal, and writes above the line that is being
// typed. It may be written to by several goroutines.
type editor struct {
	*term.Terminal
	out *os.File
}

// newEditor returns an editor for a terminal that is in raw mode.
func newEditor(in io.Reader, out *os.File) *editor {
	return &editor{term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, prompt), out}
}

// ReadLine reads a line. In raw mode Ctrl-C is a character like others, and ends
// the input as Ctrl-D does.
func (e *editor) ReadLine() (string, error) {
	// The terminal may have been resized since the line before.
	if width, height, err := term.GetSize(int(e.out.Fd())); err == nil && width > 0 {
		e.SetSize(width, height)
	}
	return e.Terminal.ReadLine()
}
