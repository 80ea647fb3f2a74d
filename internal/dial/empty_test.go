package dial

import (
	"errors"
	"io"
	"net"
	"testing"
)

// empty is a connection whose Read returns nothing, ever.
type empty struct{ net.Conn }

func (empty) Read([]byte) (int, error) { return 0, nil }

// TestEndlessEmptyReads: nobody waits for ever for a connection that returns neither
// bytes nor errors.
func TestEndlessEmptyReads(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	go io.Copy(io.Discard, far)
	read := func(r io.Reader) error {
		_, err := r.Read(make([]byte, 10))
		return err
	}
	for what, err := range map[string]error{
		"SOCKS": func() error {
			_, err := socksExchange(empty{near}, nil, 2)
			return err
		}(),
		"the answer to a handshake": read(&answerConn{Conn: empty{near}, limit: 1000}),
		"what follows it":           read(&answerConn{Conn: empty{near}, phase: phaseBody}),
		"a body": func() error {
			nc := newBodyConn(empty{near}, "host")
			defer nc.Close()
			return read(nc)
		}(),
	} {
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
