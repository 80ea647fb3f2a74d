//go:build !linux || ws_unix || ws_plain

package websocket

// loopPolls tells whether a Loop polls descriptors; elsewhere it has a goroutine
// for each connection.
const loopPolls = false
