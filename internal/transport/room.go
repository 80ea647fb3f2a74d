package transport

import (
	"net"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// beneath returns the connection under TLS, or nc itself if it is not TLS.
func beneath(nc net.Conn) net.Conn {
	for {
		if p, ok := nc.(*Pollable); ok {
			nc = p.Get()
		}
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = over.NetConn()
	}
}

// probeSocket probes the socket of rc.
func probeSocket(rc syscall.RawConn, ask Ask) (st State) {
	if ask&AskPeer != 0 {
		st = observeSocket(rc)
	}
	if canPoll && ask&AskInput != 0 {
		st.Readable = answer(readable(rc))
	}
	if canPoll && ask&AskRoom != 0 {
		st.Room = answer(writable(rc))
	}
	return st
}

func probePipe(nc *bufpipe.Conn) State {
	st := nc.State()
	return State{
		Readable: answer(st.Unread || st.Ended),
		Room:     answer(nc.HasRoom()),
		Input:    int64(st.Received),
		Unread:   st.Unread,
		Visible:  true,
		Full:     st.Full,
		Ended:    st.Ended,
		Acked:    int64(st.Taken),
		Counted:  true,
		Unacked:  int64(st.Waiting),
		System:   true,
	}
}

// probePump cannot see whether there is room, before it has waited for it.
func probePump(nc *pump.Conn) State {
	st := State{Writing: answer(nc.Writing())}
	if nc.Blocked() {
		st.Room = No
	}
	return st
}
