// Package transports tests [websocket.NewConn] over connections that do not come
// from net/http: channels of SSH, fasthttp's Hijack, net.Pipe and a pair of io.Pipe.
// Each test shows how it is done.
package transports
