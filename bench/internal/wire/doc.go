// Package wire is the load generator of cmd/polling: clients that get updates
// from a [feed.Source] by polling, long polling, server-sent events and
// WebSocket, and that count the bytes on the wire.
//
// Each client is a goroutine. It sleeps when there is nothing to do, as a real one
// does, so the kernel wakes it whenever the server sends. On loopback the wake-up
// counts as the server's CPU time, for every transport alike.
//
// Linux only.
package wire
