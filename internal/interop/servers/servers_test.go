package servers

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	coder "github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	gorilla "github.com/gorilla/websocket"
	"github.com/lesismal/nbio/logging"
	nbio "github.com/lesismal/nbio/nbhttp/websocket"
	"github.com/lxzan/gws"
)

// peers are echo servers that want compression, in the settings that make a
// difference to the negotiation. Each returns its URL, and ends with the test.
var peers = map[string]func(*testing.T) string{
	"gorilla": gorillaServer,
	"nbio":    nbioServer,
	"gobwas":  gobwasServer(wsflate.DefaultParameters),
	"gobwas, any window": gobwasServer(wsflate.Parameters{
		ServerNoContextTakeover: true, ClientNoContextTakeover: true, ServerMaxWindowBits: 15,
	}),
	"gws":                     gwsServer(gws.PermessageDeflate{Enabled: true}),
	"gws, takeover":           gwsServer(gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true}),
	"gws, takeover of 32 KiB": gwsServer(gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 15, ClientMaxWindowBits: 15}),
	"gws, server's takeover":  gwsServer(gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ServerMaxWindowBits: 10}),
	"coder, takeover":         coderServer(coder.CompressionContextTakeover),
	"coder, without takeover": coderServer(coder.CompressionNoContextTakeover),
	"coder, no compression":   coderServer(coder.CompressionDisabled),
}

func httpServer(t *testing.T, serve http.HandlerFunc) string {
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func gorillaServer(t *testing.T) string {
	upgrader := gorilla.Upgrader{EnableCompression: true}
	return httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return // the client is gone
			}
		}
	})
}

func coderServer(mode coder.CompressionMode) func(*testing.T) string {
	return func(t *testing.T) string {
		return httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(-1)
			for {
				kind, p, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, p) != nil {
					return
				}
			}
		})
	}
}

func nbioServer(t *testing.T) string {
	logging.SetLevel(logging.LevelNone)
	upgrader := nbio.NewUpgrader()
	upgrader.EnableCompression(true)
	upgrader.OnMessage(func(c *nbio.Conn, kind nbio.MessageType, p []byte) { c.WriteMessage(kind, p) })
	upgrader.BlockingModAsyncWrite = false
	return httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := upgrader.Upgrade(w, r, nil); err != nil {
			t.Error(err)
		}
	})
}

// gwsEcho is the event handler of a gws server.
type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes())
}

func gwsServer(deflate gws.PermessageDeflate) func(*testing.T) string {
	deflate.Threshold = 1
	return func(t *testing.T) string {
		upgrader := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{PermessageDeflate: deflate})
		return httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r)
			if err != nil {
				t.Error(err)
				return
			}
			c.ReadLoop()
		})
	}
}

// gobwasServer is the server of the package's documentation: straight on the
// listener, and without context takeover.
func gobwasServer(params wsflate.Parameters) func(*testing.T) string {
	return func(t *testing.T) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		t.Cleanup(func() {
			ln.Close()
			wg.Wait()
		})
		wg.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { gobwasEcho(t, nc, params) })
			}
		})
		return "ws://" + ln.Addr().String()
	}
}

func gobwasEcho(t *testing.T, nc net.Conn, params wsflate.Parameters) {
	defer nc.Close()
	extension := wsflate.Extension{Parameters: params}
	upgrader := gobwas.Upgrader{Negotiate: extension.Negotiate}
	if _, err := upgrader.Upgrade(nc); err != nil {
		t.Error(err)
		return
	}
	_, deflate := extension.Accepted()
	for {
		h, err := gobwas.ReadHeader(nc)
		if err != nil {
			return // the client is gone
		}
		if h.Length > 1<<20 {
			t.Errorf("gobwas: a frame of %d bytes", h.Length)
			return
		}
		f := gobwas.Frame{Header: h, Payload: make([]byte, h.Length)}
		if _, err := io.ReadFull(nc, f.Payload); err != nil {
			return // likewise
		}
		if f.Header.Masked {
			f = gobwas.UnmaskFrameInPlace(f)
		}
		if f.Header.OpCode.IsControl() { // a close frame; nobody pings here
			if err := gobwas.WriteFrame(nc, f); err != nil {
				t.Errorf("gobwas: %v", err)
			}
			return
		}
		if deflate {
			compressed := f.Header.Rsv1()
			if f, err = wsflate.DecompressFrame(f); err == nil && compressed {
				f, err = wsflate.CompressFrame(f)
			}
		}
		if err == nil {
			err = gobwas.WriteFrame(nc, f)
		}
		if err != nil {
			t.Errorf("gobwas: %v", err)
			return
		}
	}
}
