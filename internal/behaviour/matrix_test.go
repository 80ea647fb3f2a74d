package behaviour_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// underway is an operation that is under way when a connection ends.
type underway struct {
	name     string
	messages int                   // that the peer sends before the end, in one segment with it
	echo     bool                  // they are answered
	start    func(x *cell, l *lib) // the first action of the handler
	compress bool                  // all messages are compressed
	fragment bool                  // the peer has begun another message
}

var underways = []underway{
	{name: "nothing"},
	{name: "batch", messages: 5, echo: true},
	{name: "stream", messages: 2, start: (*cell).stream},
	{name: "sends", messages: 2, start: (*cell).sends},
	{name: "compressed", messages: 3, echo: true, compress: true},
	{name: "fragment", messages: 1, echo: true, fragment: true},
}

// way is a way to end a connection, by the peer, in the handler, or from
// outside; one of the three functions is set.
type way struct {
	name    string
	peer    func(x *cell)             // sends x.segment and ends
	handler func(l *lib) bool         // as program.message
	outside func(x *cell) (err error) // called when the handler has seen the end's mark
	tune    func(o *websocket.Options)
	small   bool             // the kernel's buffers are
	skip    string           // what is under way where the way is none
	where   func(r rig) bool // nil: everywhere
	want    func(r rig) want
	deaf    bool // the frames that the peer receives are not checked
	answer  bool // the peer keeps the closing handshake
	// some says that not all messages need be delivered: the library has ended.
	some bool
}

// cell is one connection of the matrix.
type cell struct {
	t       *testing.T
	under   underway
	way     way
	site    *site
	p       *peer
	l       *lib
	segment []frame
	msgs    []string      // those in segment
	marked  chan struct{} // closed when the handler sees the mark
	mark    sync.Once

	writer io.WriteCloser // of an open stream
}

const (
	startMark = "start"
	endMark   = "end"
)

// TestEndings crosses all ways to end with all that can be under way.
func TestEndings(t *testing.T) {
	for _, w := range slices.Concat(peerWays, handlerWays, outsideWays) {
		t.Run(w.name, func(t *testing.T) {
			checkLeaks(t) // of all together
			var cells sync.WaitGroup
			defer cells.Wait()
			for r, u := range w.crossed() {
				cells.Go(func() { // they wait more than they compute
					t.Run(r.String()+"/"+u.name, func(t *testing.T) {
						x := &cell{t: t, under: u, way: w, marked: make(chan struct{})}
						x.run(r)
					})
				})
			}
		})
	}
}

// crossed yields the rigs in which w is tried, and the operations under way.
func (w way) crossed() iter.Seq2[rig, underway] {
	return func(yield func(rig, underway) bool) {
		for _, e := range engines {
			for _, tr := range transports {
				for _, u := range underways {
					r := rig{e, tr}
					if (w.where == nil || w.where(r)) && u.name != w.skip && !yield(r, u) {
						return
					}
				}
			}
		}
	}
}

func (x *cell) run(r rig) {
	opts := calm()
	if x.under.compress {
		opts.Compression = &websocket.CompressionOptions{Threshold: -1, ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	}
	if x.way.tune != nil {
		x.way.tune(&opts)
	}
	x.site = r.startWith(x.t, opts, program{message: x.message}, x.way.small)
	x.p, x.l = x.site.connect()
	x.compose()
	switch {
	case x.way.deaf: // what arrives stays in the kernel
	case x.way.answer:
		x.p.record()
	default:
		x.p.listen()
	}
	if x.way.peer != nil {
		x.way.peer(x)
	} else {
		x.p.send(x.segment...)
	}
	if x.way.outside != nil {
		wait(x.t, "the handler sees the mark", x.marked)
		if err := wait(x.t, x.way.name, do(func() error { return x.way.outside(x) })); err != nil {
			x.t.Errorf("%s returned %v", x.way.name, err)
		}
	}
	x.judge(x.way.want(r))
}

// compose makes the segment: a mark for the start, the messages, the mark for
// the end and what is behind it.
func (x *cell) compose() {
	x.msgs = append(x.msgs, startMark)
	for i := range x.under.messages {
		x.msgs = append(x.msgs, fmt.Sprint("m", i))
	}
	if x.way.peer == nil {
		x.msgs = append(x.msgs, endMark)
		for i := range x.under.messages {
			x.msgs = append(x.msgs, fmt.Sprint("behind ", i))
		}
	}
	for _, m := range x.msgs {
		f := text(m)
		if x.under.compress {
			f = deflated(m)
		}
		x.segment = append(x.segment, f)
	}
	if x.under.fragment {
		x.segment = append(x.segment, frame{first: opBinary, payload: "begun"})
	}
}

func (x *cell) message(l *lib, msg string) bool {
	switch msg {
	case startMark:
		if x.under.start != nil {
			x.under.start(x, l)
		}
	case endMark:
		x.mark.Do(func() { close(x.marked) })
		if x.way.handler != nil {
			return x.way.handler(l)
		}
	default:
		if x.under.echo {
			if err := l.write(msg); err != nil && !x.way.deaf && !x.way.some {
				x.t.Errorf("writing the answer to %s: %v", msg, err)
			}
		}
	}
	return true
}

func (x *cell) stream(l *lib) {
	w, err := l.c().Writer(context.Background(), websocket.Text)
	if err != nil {
		x.t.Errorf("Writer: %v", err)
		return
	}
	x.writer = w
	if _, err := io.WriteString(w, strings.Repeat("s", 20<<10)); err != nil && !x.way.deaf {
		x.t.Errorf("writing the stream: %v", err)
	}
}

func (x *cell) sends(l *lib) {
	for i := range 10 {
		if err := l.send(fmt.Sprint(i, strings.Repeat(" send", 200))); err != nil && !x.way.deaf {
			x.t.Errorf("Send: %v", err)
		}
	}
}

func (x *cell) judge(w want) {
	t := x.t
	got := x.l.messages(t)
	switch {
	case x.way.peer != nil:
		delivered(t, x.l, x.msgs)
	case len(got) > len(x.msgs) || !slices.Equal(got, x.msgs[:len(got)]) || !slices.Contains(got, endMark):
		t.Errorf("delivered were %s, sent were %s", brief(got), brief(x.msgs))
	case !x.way.some && got[len(got)-1] != endMark:
		t.Errorf("delivered were %s, behind the end", brief(got))
	}
	if w.code != 0 {
		w.checkCause(t, x.l)
	} else {
		x.l.cause(t)
	}
	if x.writer != nil {
		if err := wait(t, "closing the stream's writer", do(x.writer.Close)); err == nil {
			t.Error("closing a stream behind the end returned nil")
		}
	}
	if !x.way.deaf {
		w.checkPeer(t, x.p, x.l)
	}
}
