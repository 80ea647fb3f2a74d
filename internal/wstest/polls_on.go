//go:build linux && !ws_unix && !ws_plain

package wstest

// LoopPolls tells whether a Loop polls descriptors; elsewhere it has a goroutine
// for each connection.
const LoopPolls = true
