// Package retry reads from a reader that may return neither bytes nor an error. An
// [io.Reader] may do that, though it should not: one end of a [net.Pipe] does when
// the other end writes no bytes.
package retry

import (
	"fmt"
	"io"
)

// maxEmpty is how many reads in a row may be empty.
const maxEmpty = 100

// Read reads once from r, and again while r returns neither bytes nor an error. After
// many empty reads the error wraps [io.ErrNoProgress].
func Read(r io.Reader, p []byte) (int, error) {
	for range maxEmpty {
		if n, err := r.Read(p); n != 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	return 0, fmt.Errorf("%d calls of Read of a %T have returned neither bytes nor an error: %w", maxEmpty, r, io.ErrNoProgress)
}

// Reader reads from another reader by [Read], for callers that would otherwise try
// for ever, such as [io.Copy] and [io.ReadFull].
type Reader struct{ io.Reader }

// Read fills a part of p.
func (r Reader) Read(p []byte) (int, error) { return Read(r.Reader, p) }
