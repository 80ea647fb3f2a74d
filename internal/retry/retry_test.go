package retry

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// sparse returns nothing n times before each call of the reader.
type sparse struct {
	io.Reader
	n, left int
}

func (s *sparse) Read(p []byte) (int, error) {
	if s.left > 0 {
		s.left--
		return 0, nil
	}
	s.left = s.n
	return s.Reader.Read(p)
}

func TestReader(t *testing.T) {
	for _, n := range []int{0, 1, maxEmpty - 1} {
		got, err := io.ReadAll(Reader{&sparse{Reader: strings.NewReader("hello"), n: n, left: n}})
		if string(got) != "hello" || err != nil {
			t.Errorf("%d empty reads: %q, %v", n, got, err)
		}
	}
	s := &sparse{Reader: strings.NewReader("hello"), left: maxEmpty}
	if n, err := Read(s, make([]byte, 9)); n != 0 || !errors.Is(err, io.ErrNoProgress) || !strings.Contains(err.Error(), "sparse") {
		t.Errorf("%d empty reads: %d, %v", maxEmpty, n, err)
	}
	if n, err := Read(&sparse{left: 1}, nil); n != 0 || err != nil {
		t.Errorf("a read of nothing: %d, %v", n, err)
	}
}
