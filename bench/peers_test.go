package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lesismal/nbio/nbhttp"
	nbio "github.com/lesismal/nbio/nbhttp/websocket"
	"github.com/lxzan/gws"
)

// readFull reads a message to its end into buf, which it makes larger where it
// must, and returns it with the message in it.
func readFull(r io.Reader, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(512, len(buf)))...)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// gorilla, with the buffers of net/http as its documentation advises. Only the
// client's write buffer is made to fit the message, since a larger one would
// leave in fragments.
func openGorilla(tb testing.TB, nc *memConn, server bool, writeBuffer int) *gorilla.Conn {
	var c *gorilla.Conn
	var err error
	if server {
		w, r := upgrade(nc)
		c, err = new(gorilla.Upgrader).Upgrade(w, r, nil)
	} else {
		d := gorilla.Dialer{
			WriteBufferSize: max(writeBuffer, 4<<10),
			NetDialContext:  func(context.Context, string, string) (net.Conn, error) { return nc, nil },
		}
		c, _, err = d.Dial("ws://server.example/", nil)
	}
	must(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c
}

func gorillaNextReader(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openGorilla(tb, nc, server, 0)
	return func(n int, see func([]byte)) error {
		var buf []byte
		for range n {
			_, r, err := c.NextReader()
			if err == nil {
				buf, err = readFull(r, buf)
			}
			if err != nil {
				return err
			}
			see(buf)
		}
		return nil
	}
}

func gorillaReadMessage(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openGorilla(tb, nc, server, 0)
	return func(n int, see func([]byte)) error {
		for range n {
			_, p, err := c.ReadMessage()
			if err != nil {
				return err
			}
			see(p)
		}
		return nil
	}
}

func gorillaWriteMessage(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	c := openGorilla(tb, nc, server, size)
	return func(p []byte) error { return c.WriteMessage(gorilla.BinaryMessage, p) }
}

// coder. Its compression is off unless it is asked for.
func openCoder(tb testing.TB, nc *memConn, server bool) *coder.Conn {
	var c *coder.Conn
	var err error
	if server {
		w, r := upgrade(nc)
		c, err = coder.Accept(w, r, nil)
	} else {
		c, _, err = coder.Dial(bg, "ws://server.example/", &coder.DialOptions{
			HTTPClient: &http.Client{Transport: dialing(nc)},
		})
	}
	must(tb, err)
	c.SetReadLimit(1 << 20)
	tb.Cleanup(func() { c.CloseNow() })
	return c
}

func coderReader(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openCoder(tb, nc, server)
	return func(n int, see func([]byte)) error {
		var buf []byte
		for range n {
			_, r, err := c.Reader(bg)
			if err == nil {
				buf, err = readFull(r, buf)
			}
			if err != nil {
				return err
			}
			see(buf)
		}
		return nil
	}
}

func coderRead(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openCoder(tb, nc, server)
	return func(n int, see func([]byte)) error {
		for range n {
			_, p, err := c.Read(bg)
			if err != nil {
				return err
			}
			see(p)
		}
		return nil
	}
}

func coderWrite(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	c := openCoder(tb, nc, server)
	return func(p []byte) error { return c.Write(bg, coder.MessageBinary, p) }
}

// gobwas works on the bare connection; there is nothing to open, and checking
// the frames is the caller's.

func gobwasState(server bool) ws.State {
	if server {
		return ws.StateServerSide
	}
	return ws.StateClientSide
}

// gobwasReadHeader is the least that reads a stream of frames: a header by
// package ws, and the payload into a buffer that is used again.
func gobwasReadHeader(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	br := bufio.NewReader(nc)
	return func(n int, see func([]byte)) error {
		var buf []byte
		head := make([]byte, ws.MaxHeaderSize)
		for range n {
			h, err := ws.ReadHeaderBuffer(br, head)
			if err != nil {
				return err
			}
			if int64(cap(buf)) < h.Length {
				buf = make([]byte, h.Length)
			}
			buf = buf[:h.Length]
			if _, err := io.ReadFull(br, buf); err != nil {
				return err
			}
			if h.Masked {
				ws.Cipher(buf, h.Mask, 0)
			}
			see(buf)
		}
		return nil
	}
}

func gobwasReader(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	r := wsutil.NewReader(bufio.NewReader(nc), gobwasState(server))
	r.CheckUTF8 = true
	return func(n int, see func([]byte)) error {
		var buf []byte
		for range n {
			_, err := r.NextFrame()
			if err == nil {
				buf, err = readFull(r, buf)
			}
			if err != nil {
				return err
			}
			see(buf)
		}
		return nil
	}
}

// gobwasWriteFrame writes a frame by package ws. A client masks it in a copy
// that is used again, because the message is not its own.
func gobwasWriteFrame(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	own := make([]byte, size)
	return func(p []byte) error {
		if server {
			return ws.WriteFrame(nc, ws.NewBinaryFrame(p))
		}
		m := own[:copy(own, p)]
		return ws.WriteFrame(nc, ws.MaskFrameInPlace(ws.NewBinaryFrame(m)))
	}
}

func gobwasWriteMessage(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	state := gobwasState(server)
	return func(p []byte) error { return wsutil.WriteMessage(nc, state, ws.OpBinary, p) }
}

// gobwasBuffered puts header and payload into a bufio.Writer, so that they
// leave in one call.
func gobwasBuffered(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	bw := bufio.NewWriterSize(nc, max(4<<10, size+ws.MaxHeaderSize))
	head := make([]byte, ws.MaxHeaderSize)
	own := make([]byte, size)
	return func(p []byte) error {
		h := ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(len(p))}
		if !server {
			h.Masked, h.Mask = true, ws.NewMask()
			p = own[:copy(own, p)]
			ws.Cipher(p, h.Mask, 0)
		}
		if err := ws.WriteHeaderBuffer(bw, h, head); err != nil {
			return err
		}
		bw.Write(p)
		return bw.Flush()
	}
}

// gwsHandler counts the messages that the read loop hands it, and ends the
// loop after the last one.
type gwsHandler struct {
	gws.BuiltinEventHandler
	nc   *memConn
	left int
	see  func([]byte)
}

func (h *gwsHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	if h.left > 0 {
		h.see(m.Bytes())
		h.left--
	}
	if h.left == 0 {
		h.nc.ended = true
	}
	m.Close()
}

// gws checks no text unless told to, and binary messages never.
func openGWS(tb testing.TB, nc *memConn, server bool) (*gws.Conn, *gwsHandler) {
	h := &gwsHandler{nc: nc}
	var c *gws.Conn
	var err error
	if server {
		w, r := upgrade(nc)
		c, err = gws.NewUpgrader(h, &gws.ServerOption{CheckUtf8Enabled: true}).Upgrade(w, r)
	} else {
		c, _, err = gws.NewClientFromConn(h, &gws.ClientOption{Addr: "ws://server.example/", CheckUtf8Enabled: true}, nc)
	}
	must(tb, err)
	return c, h
}

func gwsReadLoop(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c, h := openGWS(tb, nc, server)
	return func(n int, see func([]byte)) error {
		h.left, h.see = n, see
		c.ReadLoop()
		if h.left > 0 {
			return errors.New("the read loop ended early")
		}
		return nil
	}
}

func gwsWriteMessage(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	c, _ := openGWS(tb, nc, server)
	return func(p []byte) error { return c.WriteMessage(gws.OpcodeBinary, p) }
}

// nbioEngine only lends its allocator here; it is not started. A message
// leaves in one frame.
var nbioEngine = nbhttp.NewEngine(nbhttp.Config{MaxWebsocketFramePayloadSize: 1 << 20})

// openNBIO makes a connection in nbio's blocking mode, which is the one for a
// net.Conn that is no socket. Writes are made at once, not by a goroutine. The
// keepalive, a new deadline after each message, is off. The handler gives each
// payload back to the allocator, as one that takes a pointer may.
func openNBIO(tb testing.TB, nc *memConn, server bool, see func([]byte)) *nbio.Conn {
	u := nbio.NewUpgrader()
	u.Engine = nbioEngine
	u.KeepaliveTime = 0
	u.BlockingModAsyncWrite = false
	u.BlockingModHandleRead = false
	u.OnMessagePtr(func(_ *nbio.Conn, _ nbio.MessageType, p *[]byte) {
		see(*p)
		nbioEngine.BodyAllocator.Free(p)
	})
	if server {
		w, r := upgrade(nc)
		c, err := u.Upgrade(w, r, nil)
		must(tb, err)
		return c
	}
	c := nbio.NewClientConn(u, nc, "", false, false)
	c.Execute = nbhttp.SyncExecutor
	return c
}

func nbioHandleRead(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	var left int
	var show func([]byte)
	c := openNBIO(tb, nc, server, func(p []byte) {
		if left > 0 {
			show(p)
			left--
		}
		if left == 0 {
			nc.ended = true
		}
	})
	return func(n int, see func([]byte)) error {
		left, show = n, see
		c.HandleRead(nbio.DefaultBlockingReadBufferSize)
		if left > 0 {
			return errors.New("the read loop ended early")
		}
		return nil
	}
}

func nbioWriteMessage(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	c := openNBIO(tb, nc, server, func([]byte) {})
	return func(p []byte) error { return c.WriteMessage(nbio.BinaryMessage, p) }
}
