package transports

import (
	"net"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/valyala/fasthttp"
)

// upgrade answers the opening handshake (RFC 6455, section 4.2) on fasthttp, and
// serves the connection by handle. fasthttp closes it when handle returns.
func upgrade(ctx *fasthttp.RequestCtx, opts *websocket.ConnOptions, handle func(*websocket.Conn)) {
	h := &ctx.Request.Header
	key := string(h.Peek("Sec-WebSocket-Key"))
	switch {
	case !ctx.IsGet() || !h.ConnectionUpgrade() || !strings.EqualFold(string(h.Peek("Upgrade")), "websocket") || key == "":
		ctx.Error("not a WebSocket handshake", fasthttp.StatusBadRequest)
		return
	case string(h.Peek("Sec-WebSocket-Version")) != "13":
		ctx.Response.Header.Set("Sec-WebSocket-Version", "13")
		ctx.Error("version 13 is spoken here", fasthttp.StatusUpgradeRequired)
		return
	case len(h.Peek("Origin")) > 0: // pages of all sites send cookies along
		ctx.Error("no pages, please", fasthttp.StatusForbidden)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
	ctx.Response.Header.Set("Upgrade", "websocket")
	ctx.Response.Header.Set("Connection", "Upgrade")
	ctx.Response.Header.Set("Sec-WebSocket-Accept", websocket.AcceptKey(key))
	if opts != nil && opts.Subprotocol != "" {
		ctx.Response.Header.Set("Sec-WebSocket-Protocol", opts.Subprotocol)
	}
	ctx.Hijack(func(nc net.Conn) {
		c, err := websocket.NewConn(nc, opts)
		if err != nil {
			ctx.Logger().Printf("%v", err)
			return
		}
		defer c.CloseNow()
		handle(c)
	})
}

func TestFasthttp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, done := make(chan *websocket.Conn, 1), make(chan struct{})
	srv := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		upgrade(ctx, &websocket.ConnOptions{Subprotocol: "chat"}, func(c *websocket.Conn) {
			served <- c
			<-done
		})
	}}
	go srv.Serve(ln)
	defer srv.Shutdown()
	defer close(done)

	c, _, err := websocket.Dial(t.Context(), "ws://"+ln.Addr().String(), &websocket.DialOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	server := <-served
	if c.Subprotocol() != "chat" || server.Subprotocol() != "chat" {
		t.Errorf("subprotocols %q and %q", c.Subprotocol(), server.Subprotocol())
	}
	check(t, c, server)
}
