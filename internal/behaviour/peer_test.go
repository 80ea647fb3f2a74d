package behaviour_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is the other side of the library's connection: an endpoint that speaks
// frames over a bare connection and acts only when a test tells it to.
type peer struct {
	t      testing.TB
	nc     net.Conn // carries the frames; TLS, or raw itself
	raw    net.Conn // the socket
	client bool     // masks its frames
	pace   func()   // called before each read, to make them slow

	mu     sync.Mutex // one write at a time
	sent   bool       // a close frame
	buf    []byte     // read and not yet decoded
	frames []frame    // received; guarded by got
	end    error      // how receiving ended: io.EOF or a reset
	got    sync.Mutex
	done   chan struct{} // closed when receiving has ended; made by record
}

const handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

// ask is a client's opening handshake.
func (p *peer) ask(path string, deflate bool) error {
	req := "GET " + path + " HTTP/1.1\r\nHost: peer\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\n"
	if deflate {
		req += deflateOffer
	}
	if _, err := io.WriteString(p.nc, req+"\r\n"); err != nil {
		return err
	}
	head, err := p.head()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(head, "HTTP/1.1 101") || !strings.Contains(head, acceptKey(handshakeKey)) ||
		deflate != strings.Contains(head, "permessage-deflate") {
		return fmt.Errorf("the answer to the handshake: %q", head)
	}
	return nil
}

// answer is a server's opening handshake.
func (p *peer) answer(deflate bool) error {
	head, err := p.head()
	if err != nil {
		return err
	}
	_, key, _ := strings.Cut(head, "Sec-WebSocket-Key: ")
	key, _, ok := strings.Cut(key, "\r\n")
	if !ok {
		return fmt.Errorf("no key in %q", head)
	}
	resp := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n"
	if deflate {
		resp += deflateOffer
	}
	_, err = io.WriteString(p.nc, resp+"\r\n")
	return err
}

// head reads up to the empty line, and leaves the rest in p.buf.
func (p *peer) head() (string, error) {
	for {
		if i := bytes.Index(p.buf, []byte("\r\n\r\n")); i >= 0 {
			head := string(p.buf[:i+4])
			p.buf = p.buf[i+4:]
			return head, nil
		}
		if err := p.more(); err != nil {
			return "", err
		}
	}
}

func (p *peer) more() error {
	if p.pace != nil {
		p.pace()
	}
	b := make([]byte, 32<<10)
	n, err := p.nc.Read(b)
	p.buf = append(p.buf, b[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// take reads n bytes, which remain to be received: by then what was written
// before a large message has gone, and a part of that.
func (p *peer) take(n int) {
	for len(p.buf) < n {
		if err := p.more(); err != nil {
			p.t.Errorf("after %d bytes: %v", len(p.buf), err)
			return
		}
	}
}

// bytes encodes frames as this peer sends them.
func (p *peer) bytes(frames ...frame) (b []byte) {
	for _, f := range frames {
		b = f.encode(b, p.client)
	}
	return b
}

// send sends frames in one segment.
func (p *peer) send(frames ...frame) {
	p.t.Helper()
	if err := p.trySend(frames...); err != nil {
		p.t.Errorf("the peer's write: %v", err)
	}
}

// trySend is send where the library may have closed the connection.
func (p *peer) trySend(frames ...frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range frames {
		p.sent = p.sent || f.op() == opClose
	}
	_, err := p.nc.Write(p.bytes(frames...))
	return err
}

// write sends bytes as they are.
func (p *peer) write(b []byte) {
	p.t.Helper()
	if err := p.tryWrite(b); err != nil {
		p.t.Errorf("the peer's write: %v", err)
	}
}

func (p *peer) tryWrite(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.nc.Write(b)
	return err
}

// dribble sends bytes one by one.
func (p *peer) dribble(b []byte) {
	p.t.Helper()
	for i := range b {
		p.write(b[i : i+1])
	}
}

// next receives a frame.
func (p *peer) next() (frame, error) {
	for {
		if f, n := decodeFrame(p.buf); n > 0 {
			p.buf = p.buf[n:]
			if f.masked == p.client {
				p.t.Errorf("frame %v: masked is %v", f, f.masked)
			}
			return f, nil
		}
		if err := p.more(); err != nil {
			return frame{}, err
		}
	}
}

// record receives all that comes, up to the end of the stream, and keeps the
// rules of the closing handshake: it answers a close frame, and as a server
// closes the connection after both.
func (p *peer) record() *peer { return p.receive(true) }

// listen is record without an answer to a close frame.
func (p *peer) listen() *peer { return p.receive(false) }

func (p *peer) receive(answer bool) *peer {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		for {
			f, err := p.next()
			if err != nil {
				p.end = err
				p.nc.Close()
				return
			}
			p.got.Lock()
			p.frames = append(p.frames, f)
			p.got.Unlock()
			if f.op() == opClose && answer {
				p.echo(f)
			}
		}
	}()
	return p
}

func (p *peer) echo(f frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.sent {
		p.sent = true
		p.nc.Write(p.bytes(f)) // an error shows in the records
	}
	if !p.client {
		p.closeWriteLocked()
	}
}

// received returns the records so far.
func (p *peer) received() []frame {
	p.got.Lock()
	defer p.got.Unlock()
	return p.frames[:len(p.frames):len(p.frames)]
}

// all waits for the end of the stream and returns the frames before it.
func (p *peer) all() ([]frame, error) {
	p.t.Helper()
	wait(p.t, "the end of what the peer receives", p.done)
	return p.frames, p.end
}

// closeWrite sends FIN, under TLS after the alert that says so.
func (p *peer) closeWrite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeWriteLocked()
}

func (p *peer) closeWriteLocked() {
	if tc, ok := p.nc.(*tls.Conn); ok {
		tc.CloseWrite()
	}
	p.raw.(interface{ CloseWrite() error }).CloseWrite()
}

// close closes the socket: the library's next write has no receiver.
func (p *peer) close() { p.raw.Close() }

// reset closes the socket with RST. A Unix socket knows no such thing: the
// other side sees ECONNRESET if something it has sent was not read.
func (p *peer) reset() {
	if tc, ok := p.raw.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	p.raw.Close()
}

// isReset tells an end that is not EOF.
func isReset(err error) bool { return err != nil && !errors.Is(err, io.EOF) }

// dialPeer connects a raw client.
func dialPeer(t testing.TB, d *net.Dialer, addr net.Addr, secure bool) (*peer, error) {
	raw, err := d.Dial(addr.Network(), addr.String())
	if err != nil {
		return nil, err
	}
	p := &peer{t: t, raw: raw, nc: raw, client: true}
	raw.SetDeadline(time.Now().Add(2 * patience))
	if secure {
		p.nc = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	}
	return p, nil
}
