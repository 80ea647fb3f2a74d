//go:build linux

package main

import (
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// server is a program to be measured, in one of its modes. Its package keeps
// the contract that ../../README.md tells.
type server struct {
	name   string
	kind   string
	pkg    string // folder of the main package in cmd
	module string // the module whose version is reported; the standard library if empty
	mode   string
	floor  string // the floor whose ways it shares
	window string // asks for windows of so many bits: measured with takeover only
}

// flags are what it is started with, whatever is measured.
func (s server) flags() []string {
	flags := []string{"-mode", s.mode}
	if s.window != "" {
		flags = append(flags, "-window", s.window)
	}
	return flags
}

// servers is the whole list. A server or mode that does not exist yet is
// reported as missing. ours-w12 has the windows that gws has by default, so that
// memory and sizes can be compared.
var servers = []server{
	{"ours", report.Ours, "server", rig.OurModule, "conn", "floor-goroutine", ""},
	{"ours-w12", report.Ours, "server", rig.OurModule, "conn", "floor-goroutine", "12"},
	{"ours-loop", report.Ours, "server", rig.OurModule, "loop", "floor-epoll", ""},
	{"gorilla", report.Peer, "peer-gorilla", "github.com/gorilla/websocket", "conn", "floor-goroutine", ""},
	{"coder", report.Peer, "peer-coder", "github.com/coder/websocket", "conn", "floor-goroutine", ""},
	{"gobwas", report.Peer, "peer-gobwas", "github.com/gobwas/ws", "conn", "floor-goroutine", ""},
	{"gws", report.Peer, "peer-gws", "github.com/lxzan/gws", "conn", "floor-goroutine", ""},
	{"nbio", report.Peer, "peer-nbio", "github.com/lesismal/nbio", "conn", "floor-goroutine", ""},
	{"nbio-loop", report.Peer, "peer-nbio", "github.com/lesismal/nbio", "loop", "floor-epoll", ""},
	{"floor-goroutine", report.Floor, "floor-goroutine", "", "conn", "floor-goroutine", ""},
	{"floor-epoll", report.Floor, "floor-epoll", "", "loop", "floor-epoll", ""},
}
