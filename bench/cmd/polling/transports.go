//go:build linux

package main

import (
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/fullduplex-go/websocket/bench/internal/wire"
)

// transport is one way to get updates: a row of the table.
type transport struct {
	name  string
	title string
	job   wire.Job // what the clients do: Kind, Browser, TLS, Compressed
	rare  bool     // there is an update for one poll in rareness
	mode  contract.Mode
}

// rareness is the number of polls per update, for rare updates.
const rareness = 10

// transports is the whole list. Transports that the text compares with others have
// constants for names.
var transports = []transport{
	{name: nothing, title: "Nobody asks: making the updates", job: wire.Job{Kind: wire.Nothing}},

	{name: pollBrowser, title: "Polling, Chromium", job: wire.Job{Kind: wire.Poll, Browser: true}},
	{name: pollGo, title: "Polling, Go client", job: wire.Job{Kind: wire.Poll}},
	{name: pollBrowserRare, title: "Polling, Chromium, 10 polls per update", job: wire.Job{Kind: wire.Poll, Browser: true}, rare: true},
	{name: "poll-go-rare", title: "Polling, Go client, 10 polls per update", job: wire.Job{Kind: wire.Poll}, rare: true},
	{name: "longpoll-browser", title: "Long polling, Chromium", job: wire.Job{Kind: wire.LongPoll, Browser: true}},
	{name: "longpoll-go", title: "Long polling, Go client", job: wire.Job{Kind: wire.LongPoll}},
	{name: "events", title: "Server-sent events", job: wire.Job{Kind: wire.Events}},
	{name: socket, title: "**WebSocket**", job: wire.Job{Kind: wire.WebSocket}},
	{name: "ws-loop", title: "**WebSocket**, event loop", job: wire.Job{Kind: wire.WebSocket}, mode: contract.Loop},
	{name: "ws-deflate", title: "**WebSocket**, permessage-deflate", job: wire.Job{Kind: wire.WebSocket, Compressed: true}},

	{name: tlsPollBrowser, title: "Polling, HTTP/2, Chromium", job: wire.Job{Kind: wire.Poll, Browser: true, TLS: true}},
	{name: tlsPollGo, title: "Polling, HTTP/2, Go client", job: wire.Job{Kind: wire.Poll, TLS: true}},
	{name: tlsPollBrowserRare, title: "Polling, HTTP/2, Chromium, 10 polls per update", job: wire.Job{Kind: wire.Poll, Browser: true, TLS: true}, rare: true},
	{name: "tls-longpoll-browser", title: "Long polling, HTTP/2, Chromium", job: wire.Job{Kind: wire.LongPoll, Browser: true, TLS: true}},
	{name: "tls-events", title: "Server-sent events, HTTP/2", job: wire.Job{Kind: wire.Events, TLS: true}},
	{name: tlsSocket, title: "**WebSocket**", job: wire.Job{Kind: wire.WebSocket, TLS: true}},
}

const (
	nothing            = "nothing"
	pollBrowser        = "poll-browser"
	pollGo             = "poll-go"
	pollBrowserRare    = "poll-browser-rare"
	socket             = "ws"
	tlsPollBrowser     = "tls-poll-browser"
	tlsPollGo          = "tls-poll-go"
	tlsPollBrowserRare = "tls-poll-browser-rare"
	tlsSocket          = "tls-ws"
)

// every is the time between two updates of a topic.
func (t transport) every(s *settings) time.Duration {
	if t.rare {
		return rareness * s.every
	}
	return s.every
}
