// Package websocket implements the WebSocket protocol, [RFC 6455], for
// servers and clients.
//
// A server hands each connection to a function:
//
//	http.Handle("/ws", &websocket.Server{Handler: func(c *websocket.Conn) {
//		for msg, err := range c.Messages(c.Context()) {
//			if err != nil {
//				return
//			}
//			c.Write(c.Context(), msg.Type, msg.Data)
//		}
//	}})
//
// [Accept] does the same inside a handler of your own. A client dials:
//
//	c, _, err := websocket.Dial(ctx, "wss://example.com/ws", nil)
//
// [Options] are embedded in [AcceptOptions], which are embedded in [Server], and in
// [DialOptions]. A composite literal cannot name embedded fields, so set them
// afterwards:
//
//	srv := &websocket.Server{Handler: serve}
//	srv.ReadLimit = 64 << 10
//
// # Reading
//
// There are four ways, from the simplest to the one for streams: [Conn.Read]
// returns a message, [Conn.ReadAppend] puts it into your memory,
// [Conn.Messages] lends it for one iteration, and [Conn.Reader] streams it.
// They can be mixed. One goroutine reads at a time.
//
// When a context ends a read, nothing is lost: the next read goes on where
// that one was. So a timeout is simply a context with a timeout.
//
// # Writing
//
// [Conn.Write] sends a message in one frame and one system call;
// [Conn.Writer] streams one in fragments. Any number of goroutines may write
// at the same time, and each message goes out whole. Messages of writers that
// would have to wait for each other leave together, and so do the answers to
// messages that arrived together. Write returns when the transport has taken
// the message, or up to 64 KiB earlier while answers are being collected, so a
// peer that does not read slows its writers down; give them a context with a
// timeout, or a goroutine and a bounded queue per peer, where others must not
// wait.
//
// # Staying alive
//
// Pings, pongs and close frames are handled by the package. A peer that has been
// silent for [Options.PingInterval] is pinged, and given up if it gives no sign of
// life within [Options.PongTimeout]. A handler that only writes calls
// [Conn.CloseRead], which starts a goroutine that reads.
//
// A connection that the program drops without closing it is collected, and its
// descriptor is closed then; but close it, since that may take a while.
//
// # Ending
//
// [Conn.Close] performs the closing handshake, within [Options.CloseTimeout];
// [Conn.CloseNow] does not. A [Server] closes the connection when its handler
// returns, and all of them on [Server.Shutdown]. However it ended, every call
// from then on returns the same [*CloseError], which matches [net.ErrClosed]
// and says which side closed, with which code, and why; [Conn.Context] is done
// and has it as its cause.
//
// # Limits and safety
//
// Messages are bounded by [Options.ReadLimit], 1 MiB unless you say
// otherwise. Memory grows with the bytes that have arrived, never with those
// that a peer has announced. Text is checked while it arrives. A peer that
// breaks the protocol gets one close frame that says how, and the error names
// the section of the RFC. On a server, browsers are admitted from the
// server's own origin only; see [AcceptOptions].
//
// # Bringing your own I/O
//
// [ParseHeader], [Header.Append], [Mask] and [AcceptKey] are the protocol's pieces
// for programs that do their own I/O.
//
// [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
package websocket
