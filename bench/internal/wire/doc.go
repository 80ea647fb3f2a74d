// Package wire is the load generator of cmd/polling: clients that get updates
// from a [feed.Source] by polling, long polling, server-sent events and
// WebSocket, and that count what goes over the wire for it.
//
// The clients are plain ones, a goroutine each. They sleep when there is nothing
// to do, as real ones do, so the kernel wakes them for each thing that the
// server sends. On loopback that is in the server's time, for every transport
// alike.
//
// Linux only.
package wire
