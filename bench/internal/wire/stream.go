//go:build linux

package wire

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"

	"github.com/gobwas/ws"
)

// stream delivers updates as they come.
type stream interface {
	// next returns the next update, which is valid until the next call.
	next() ([]byte, error)
}

// eventStream is the content of a response with server-sent events, each of
// which has one line of data.
type eventStream struct {
	lines *bufio.Scanner
}

// newEventStream checks the head of the response.
func newEventStream(resp *http.Response) (*eventStream, error) {
	typ, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || typ != "text/event-stream" {
		return nil, fmt.Errorf("no events but %s with %q", resp.Status, typ)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxContent)
	return &eventStream{lines}, nil
}

func (s *eventStream) next() ([]byte, error) {
	for s.lines.Scan() {
		line := s.lines.Bytes()
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			return data, nil
		}
		if len(line) > 0 && line[0] != ':' {
			return nil, fmt.Errorf("the server has sent the line %.100q", line)
		}
	}
	if err := s.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// socketStream is the client's end of a WebSocket, on which only the server
// speaks. It shares nothing with the library that is measured.
type socketStream struct {
	c      net.Conn
	r      *bufio.Reader
	size   int // of an update
	buf    []byte
	update []byte
	// With compression.
	deflated *deflated
	inflate  io.Reader
}

// newSocketStream makes a browser's handshake on c. The browser offers
// compression; the server is to agree to it, or not to.
func newSocketStream(c net.Conn, path string, size int, compressed bool) (*socketStream, error) {
	f := newRawFetcher(c, browser.webSocket)
	resp, err := f.send(path)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(headerOf(browser.webSocket, "Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept, extensions := resp.Header.Get("Sec-WebSocket-Accept"), resp.Header.Get("Sec-WebSocket-Extensions")
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("the handshake was answered with %s", resp.Status)
	case accept != base64.StdEncoding.EncodeToString(sum[:]):
		return nil, fmt.Errorf("Sec-WebSocket-Accept is %q", accept)
	case (extensions != "") != compressed:
		return nil, fmt.Errorf("Sec-WebSocket-Extensions is %q", extensions)
	}
	s := &socketStream{c: c, r: f.r, size: size, update: make([]byte, size)}
	if compressed {
		s.deflated = new(deflated)
		s.inflate = flate.NewReader(s.deflated)
	}
	return s, nil
}

func (s *socketStream) next() ([]byte, error) {
	payload, compressed, err := s.message()
	if err != nil || !compressed {
		return payload, err
	}
	s.deflated.add(payload)
	if _, err := io.ReadFull(s.inflate, s.update); err != nil {
		return nil, fmt.Errorf("inflating: %w", err)
	}
	return s.update, nil
}

// message reads a message, and answers the pings before it.
func (s *socketStream) message() (payload []byte, compressed bool, err error) {
	for {
		h, err := ws.ReadHeader(s.r)
		if err != nil {
			return nil, false, err
		}
		rsv1, rsv2, rsv3 := ws.RsvBits(h.Rsv)
		switch {
		case h.Length > maxContent:
			return nil, false, fmt.Errorf("a frame of %d bytes", h.Length)
		case !h.Fin || h.Masked || rsv2 || rsv3 || rsv1 && s.deflated == nil:
			return nil, false, fmt.Errorf("an unexpected frame: %+v", h)
		}
		if int64(cap(s.buf)) < h.Length {
			s.buf = make([]byte, h.Length)
		}
		payload = s.buf[:h.Length]
		if _, err := io.ReadFull(s.r, payload); err != nil {
			return nil, false, err
		}
		switch h.OpCode {
		case ws.OpText:
			return payload, rsv1, nil
		case ws.OpPing:
			if err := ws.WriteFrame(s.c, ws.MaskFrame(ws.NewPongFrame(payload))); err != nil {
				return nil, false, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return nil, false, fmt.Errorf("the server has closed: %d %q", code, reason)
		default:
			return nil, false, fmt.Errorf("an unexpected frame: %+v", h)
		}
	}
}

// deflated is the DEFLATE stream of the messages, each with the tail that the sender
// has removed (RFC 7692, section 7.2.2): after the tail the whole message is out. It
// is an io.ByteReader, so that it is read no further than necessary.
type deflated struct {
	text []byte
}

func (d *deflated) add(payload []byte) {
	d.text = append(append(d.text, payload...), 0, 0, 0xff, 0xff)
}

var errShort = errors.New("a message is shorter than an update")

func (d *deflated) ReadByte() (byte, error) {
	if len(d.text) == 0 {
		return 0, errShort
	}
	b := d.text[0]
	d.text = d.text[1:]
	return b, nil
}

func (d *deflated) Read(p []byte) (int, error) {
	if len(d.text) == 0 {
		return 0, errShort
	}
	n := copy(p, d.text)
	d.text = d.text[n:]
	return n, nil
}
