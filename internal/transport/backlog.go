package transport

import (
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// Backlog holds bytes that wait to be written. Some are in buffers of its own;
// others belong to a PreparedMessage and are shared with other connections, so that
// a message to very many connections takes memory once, however slow they are.
type Backlog struct {
	parts []backlogPart // in order; those before first were written
	first int
	gone  int // how many bytes of the first one were written
	size  int // how many bytes are left, in all
	Mark  int // how many of the first bytes are other writers'
}

// backlogPart is a buffer that the backlog owns, or else memory that it shares.
type backlogPart struct {
	own    *buffer.Buffer
	shared []byte
}

func (p *backlogPart) bytes() []byte {
	if p.own != nil {
		return p.own.B
	}
	return p.shared
}

const (
	// A backlog's own buffers grow with their number.
	minBacklogPart = 4 << 10
	maxBacklogPart = 64 << 10
	// maxVector is how many parts are written in one call.
	MaxVector = 64
)

var backlogs = sync.Pool{New: func() any { return new(Backlog) }}

func GetBacklog() *Backlog { return backlogs.Get().(*Backlog) }

// PutBacklog gives l and its buffers back to their pools. l may be nil.
func PutBacklog(l *Backlog) {
	if l == nil {
		return
	}
	for _, p := range l.parts {
		buffer.Put(p.own)
	}
	clear(l.parts)
	if cap(l.parts) > MaxVector {
		l.parts = nil
	}
	l.parts, l.first, l.gone, l.size = l.parts[:0], 0, 0, 0
	backlogs.Put(l)
}

// Len is the number of bytes in l, which may be nil.
func (l *Backlog) Len() int {
	if l == nil {
		return 0
	}
	return l.size
}

// add appends a part. Before it takes more memory, it reuses the place of parts
// that were written.
func (l *Backlog) add(p backlogPart) {
	if len(l.parts) == cap(l.parts) && l.first > len(l.parts)/2 {
		l.parts = slices.Delete(l.parts, 0, l.first)
		l.first = 0
	}
	l.parts = append(l.parts, p)
}

// tail returns a buffer of l's own with room for n more bytes. The caller adds the
// bytes that it appends to l.size.
func (l *Backlog) tail(n int) *buffer.Buffer {
	size := minBacklogPart
	if last := len(l.parts) - 1; last >= l.first {
		if b := l.parts[last].own; b != nil {
			if cap(b.B)-len(b.B) >= n {
				return b
			}
			size = min(4*cap(b.B), maxBacklogPart)
		}
	}
	b := buffer.Get(max(n, size))
	l.add(backlogPart{own: b})
	return b
}

// Tail returns the last bytes of l, with room for n more behind them. The caller
// may append as many, and then calls SetTail; it must not change the others.
func (l *Backlog) Tail(n int) []byte { return l.tail(n).B }

// SetTail puts b, what Tail has returned with bytes appended, in its place. It
// returns how many bytes that adds to l.
func (l *Backlog) SetTail(b []byte) int {
	last := l.parts[len(l.parts)-1].own
	n := len(b) - len(last.B)
	last.B = b
	l.size += n
	return n
}

// Copy appends a copy of p.
func (l *Backlog) Copy(p []byte) {
	if len(p) > 0 {
		b := l.tail(len(p))
		b.B = append(b.B, p...)
		l.size += len(p)
	}
}

// Share appends p itself, which must not be changed any more.
func (l *Backlog) Share(p []byte) {
	if len(p) > 0 {
		l.add(backlogPart{shared: p})
		l.size += len(p)
	}
}

// Begin puts b[n:] into l, which is empty. l owns b from here on.
func (l *Backlog) Begin(b *buffer.Buffer, n int) {
	l.add(backlogPart{own: b})
	l.gone, l.size = n, len(b.B)-n
}

// Only returns the bytes of l, or nil if they are in several parts.
func (l *Backlog) Only() []byte {
	if len(l.parts)-l.first != 1 {
		return nil
	}
	return l.parts[l.first].bytes()[l.gone:]
}

// Vector appends the parts to v, as many as it has room for.
func (l *Backlog) Vector(v [][]byte) [][]byte {
	gone := l.gone
	for i := l.first; i < len(l.parts) && len(v) < cap(v); i++ {
		v = append(v, l.parts[i].bytes()[gone:])
		gone = 0
	}
	return v
}

// All returns the parts of l.
func (l *Backlog) All() [][]byte { return l.Vector(make([][]byte, 0, len(l.parts))) }

// Consume removes the first n bytes.
func (l *Backlog) Consume(n int) {
	l.size -= n
	l.gone += n
	for l.first < len(l.parts) {
		p := &l.parts[l.first]
		size := len(p.bytes())
		if l.gone < size {
			return
		}
		l.gone -= size
		buffer.Put(p.own)
		*p = backlogPart{}
		l.first++
	}
}

// Truncate removes all but the first n bytes.
func (l *Backlog) Truncate(n int) {
	end := l.first
	for left := n + l.gone; left > 0; end++ {
		p := &l.parts[end]
		size := len(p.bytes())
		if left < size {
			if p.own != nil {
				p.own.B = p.own.B[:left]
			} else {
				p.shared = p.shared[:left]
			}
		}
		left -= size
	}
	for i := end; i < len(l.parts); i++ {
		buffer.Put(l.parts[i].own)
		l.parts[i] = backlogPart{}
	}
	l.parts = l.parts[:end]
	l.size = n
}

// Append moves the parts of next to the end of l. next may be nil; it must not be
// used any more.
func (l *Backlog) Append(next *Backlog) {
	if next == nil {
		return
	}
	parts := next.parts[next.first:]
	if len(parts) > 0 && next.gone > 0 {
		if p := &parts[0]; p.own != nil {
			p.own.B = p.own.B[:copy(p.own.B, p.own.B[next.gone:])]
		} else {
			p.shared = p.shared[next.gone:]
		}
	}
	l.parts = append(l.parts, parts...)
	l.size += next.size
	clear(next.parts)
	next.parts, next.first, next.gone, next.size = next.parts[:0], 0, 0, 0
	backlogs.Put(next)
}

// piece returns a copy of the bytes from n on, at most maxBacklogPart.
func (l *Backlog) piece(n int) *buffer.Buffer {
	b := buffer.Get(min(l.size-n, maxBacklogPart))
	skip := l.gone + n
	for _, p := range l.parts[l.first:] {
		p := p.bytes()
		m := min(skip, len(p))
		skip -= m
		b.B = append(b.B, p[m:min(len(p), m+cap(b.B)-len(b.B))]...)
	}
	return b
}
