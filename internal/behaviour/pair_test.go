package behaviour_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// overPairs runs f with a function that connects a client of the library to a
// program on a server of the library, over every engine and transport, and over
// Pipe, where the program reads by calls.
func overPairs(t *testing.T, opts websocket.Options, f func(t *testing.T, pair func(server program) (*websocket.Conn, *lib))) {
	for _, e := range engines {
		for _, tr := range transports {
			if e == onDial {
				continue
			}
			r := rig{e, tr}
			t.Run(r.String(), func(t *testing.T) {
				checkLeaks(t)
				var s *site
				f(t, func(server program) (*websocket.Conn, *lib) {
					if s == nil {
						s = r.start(t, opts, server)
					}
					return s.dialLibrary()
				})
			})
		}
	}
	t.Run("pipe", func(t *testing.T) {
		checkLeaks(t)
		f(t, func(server program) (*websocket.Conn, *lib) { return pipe(t, server) })
	})
}

// dialLibrary connects a client of the library to a server.
func (s *site) dialLibrary() (*websocket.Conn, *lib) {
	s.t.Helper()
	path := fmt.Sprintf("/%d", s.n.Add(1))
	l := newLib(s)
	s.libs.Store(path, l)
	if s.client == nil {
		s.client = s.newClient()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	opts := s.opts
	opts.Trace = nil
	c, _, err := websocket.Dial(ctx, s.url(path), &websocket.DialOptions{Options: opts, HTTPClient: s.client})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.CloseNow() })
	wait(s.t, "the connection is opened", l.opened)
	return c, l
}

// pipe runs a program on one end of a Pipe and returns the other. Its options
// are the default ones, so nothing is traced.
func pipe(t *testing.T, server program) (*websocket.Conn, *lib) {
	client, c := websocket.Pipe()
	l := newLib(&site{t: t, rig: rig{onAccept, "pipe"}, program: server, ctx: context.Background()})
	t.Cleanup(func() {
		l.letGo()
		client.CloseNow()
		c.CloseNow()
	})
	go func() {
		defer c.CloseNow()
		defer l.recover()
		l.run(c, c.Read)
	}()
	wait(t, "the connection is opened", l.opened)
	return client, l
}
