//go:build linux

package main

import (
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// server is a program to be measured, in one of its modes. It keeps the contract in
// ../../README.md.
type server struct {
	name   string
	kind   string
	pkg    string // folder of the main package in cmd
	module string // the module whose version is reported; the standard library if empty
	mode   string
	floor  string // the floor with the same way of waiting
	window string // asks for windows of so many bits: measured with takeover only
	hub    bool   // broadcasts by a hub: measured with broadcasts only
}

// flags returns the flags with which it is started in every scenario.
func (s server) flags() []string {
	flags := []string{"-mode", s.mode}
	if s.window != "" {
		flags = append(flags, "-window", s.window)
	}
	if s.hub {
		flags = append(flags, "-hub")
	}
	return flags
}

// servers is the whole list. A server or mode that does not exist yet is
// reported as missing. ours-w12 has the windows that gws has by default, so that
// memory and sizes can be compared.
var servers = []server{
	{"ours", report.Ours, "server", rig.OurModule, "conn", "floor-goroutine", "", false},
	{"ours-w12", report.Ours, "server", rig.OurModule, "conn", "floor-goroutine", "12", false},
	{"ours-loop", report.Ours, "server", rig.OurModule, "loop", "floor-epoll", "", false},
	{"ours-hub", report.Ours, "server", rig.OurModule, "loop", "floor-epoll", "", true},
	{"ours-hub-conn", report.Ours, "server", rig.OurModule, "conn", "floor-goroutine", "", true},
	{"gorilla", report.Peer, "peer-gorilla", "github.com/gorilla/websocket", "conn", "floor-goroutine", "", false},
	{"coder", report.Peer, "peer-coder", "github.com/coder/websocket", "conn", "floor-goroutine", "", false},
	{"gobwas", report.Peer, "peer-gobwas", "github.com/gobwas/ws", "conn", "floor-goroutine", "", false},
	{"gws", report.Peer, "peer-gws", "github.com/lxzan/gws", "conn", "floor-goroutine", "", false},
	{"nbio", report.Peer, "peer-nbio", "github.com/lesismal/nbio", "conn", "floor-goroutine", "", false},
	{"nbio-loop", report.Peer, "peer-nbio", "github.com/lesismal/nbio", "loop", "floor-epoll", "", false},
	{"floor-goroutine", report.Floor, "floor-goroutine", "", "conn", "floor-goroutine", "", false},
	{"floor-epoll", report.Floor, "floor-epoll", "", "loop", "floor-epoll", "", false},
}
