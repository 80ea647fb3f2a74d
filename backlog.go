package websocket

import (
	"slices"
	"sync"
)

// backlog holds bytes that wait to be written. Some are in buffers of its own;
// others belong to a PreparedMessage and are shared with other connections, so that
// a message to very many connections takes memory once, however slow they are.
type backlog struct {
	parts []backlogPart // in order; those before first were written
	first int
	gone  int // how many bytes of the first one were written
	size  int // how many bytes are left, in all
	mark  int // how many of the first bytes are other writers'
}

// backlogPart is a buffer that the backlog owns, or else memory that it shares.
type backlogPart struct {
	own    *buffer
	shared []byte
}

func (p *backlogPart) bytes() []byte {
	if p.own != nil {
		return p.own.b
	}
	return p.shared
}

const (
	// A backlog's own buffers grow with their number.
	minBacklogPart = 4 << 10
	maxBacklogPart = 64 << 10
	// maxVector is how many parts are written in one call.
	maxVector = 64
)

var backlogs = sync.Pool{New: func() any { return new(backlog) }}

func getBacklog() *backlog { return backlogs.Get().(*backlog) }

// putBacklog gives l and its buffers back to their pools. l may be nil.
func putBacklog(l *backlog) {
	if l == nil {
		return
	}
	for _, p := range l.parts {
		putBuffer(p.own)
	}
	clear(l.parts)
	if cap(l.parts) > maxVector {
		l.parts = nil
	}
	l.parts, l.first, l.gone, l.size = l.parts[:0], 0, 0, 0
	backlogs.Put(l)
}

// len is the number of bytes in l, which may be nil.
func (l *backlog) len() int {
	if l == nil {
		return 0
	}
	return l.size
}

// add appends a part. Before it takes more memory, it reuses the place of parts
// that were written.
func (l *backlog) add(p backlogPart) {
	if len(l.parts) == cap(l.parts) && l.first > len(l.parts)/2 {
		l.parts = slices.Delete(l.parts, 0, l.first)
		l.first = 0
	}
	l.parts = append(l.parts, p)
}

// tail returns a buffer of l's own with room for n more bytes. The caller adds the
// bytes that it appends to l.size.
func (l *backlog) tail(n int) *buffer {
	size := minBacklogPart
	if last := len(l.parts) - 1; last >= l.first {
		if b := l.parts[last].own; b != nil {
			if cap(b.b)-len(b.b) >= n {
				return b
			}
			size = min(4*cap(b.b), maxBacklogPart)
		}
	}
	b := getBuffer(max(n, size))
	l.add(backlogPart{own: b})
	return b
}

// copy appends a copy of p.
func (l *backlog) copy(p []byte) {
	if len(p) > 0 {
		b := l.tail(len(p))
		b.b = append(b.b, p...)
		l.size += len(p)
	}
}

// frame appends a frame and returns its size.
func (l *backlog) frame(h *Header, p []byte) int {
	b := l.tail(maxHeaderSize + len(p))
	had := len(b.b)
	b.b = h.appendFrame(b.b, p)
	l.size += len(b.b) - had
	return len(b.b) - had
}

// share appends p itself, which must not be changed any more.
func (l *backlog) share(p []byte) {
	if len(p) > 0 {
		l.add(backlogPart{shared: p})
		l.size += len(p)
	}
}

// begin puts b[n:] into l, which is empty. l owns b from here on.
func (l *backlog) begin(b *buffer, n int) {
	l.add(backlogPart{own: b})
	l.gone, l.size = n, len(b.b)-n
}

// only returns the bytes of l, or nil if they are in several parts.
func (l *backlog) only() []byte {
	if len(l.parts)-l.first != 1 {
		return nil
	}
	return l.parts[l.first].bytes()[l.gone:]
}

// vector appends the parts to v, as many as it has room for.
func (l *backlog) vector(v [][]byte) [][]byte {
	gone := l.gone
	for i := l.first; i < len(l.parts) && len(v) < cap(v); i++ {
		v = append(v, l.parts[i].bytes()[gone:])
		gone = 0
	}
	return v
}

// consume removes the first n bytes.
func (l *backlog) consume(n int) {
	l.size -= n
	l.gone += n
	for l.first < len(l.parts) {
		p := &l.parts[l.first]
		size := len(p.bytes())
		if l.gone < size {
			return
		}
		l.gone -= size
		putBuffer(p.own)
		*p = backlogPart{}
		l.first++
	}
}

// truncate removes all but the first n bytes.
func (l *backlog) truncate(n int) {
	end := l.first
	for left := n + l.gone; left > 0; end++ {
		p := &l.parts[end]
		size := len(p.bytes())
		if left < size {
			if p.own != nil {
				p.own.b = p.own.b[:left]
			} else {
				p.shared = p.shared[:left]
			}
		}
		left -= size
	}
	for i := end; i < len(l.parts); i++ {
		putBuffer(l.parts[i].own)
		l.parts[i] = backlogPart{}
	}
	l.parts = l.parts[:end]
	l.size = n
}

// append moves the parts of next to the end of l. next may be nil; it must not be
// used any more.
func (l *backlog) append(next *backlog) {
	if next == nil {
		return
	}
	parts := next.parts[next.first:]
	if len(parts) > 0 && next.gone > 0 {
		if p := &parts[0]; p.own != nil {
			p.own.b = p.own.b[:copy(p.own.b, p.own.b[next.gone:])]
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
func (l *backlog) piece(n int) *buffer {
	b := getBuffer(min(l.size-n, maxBacklogPart))
	skip := l.gone + n
	for _, p := range l.parts[l.first:] {
		p := p.bytes()
		m := min(skip, len(p))
		skip -= m
		b.b = append(b.b, p[m:min(len(p), m+cap(b.b)-len(b.b))]...)
	}
	return b
}
