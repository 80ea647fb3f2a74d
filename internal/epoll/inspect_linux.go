package epoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// State is the state of a stream socket, which the system tells without a read. For
// TCP it tells more.
type State struct {
	Unread  int  // bytes that have arrived and were not read
	Unacked int  // bytes written that the peer has not taken; of a Unix socket, with their overhead
	Full    bool // the receive buffer may have no room for more
	Ended   bool // the peer sends no more, or the connection has failed

	TCP      bool
	Received uint64 // bytes that have ever arrived
	Acked    uint64 // bytes that the peer's system has acknowledged
	Window   uint32 // bytes for which the peer's system has room; 0 before Linux 5.4
}

// smallBuffer is how many bytes fit into any receive buffer of a Unix socket, even
// in small messages, whose overhead counts, too.
const smallBuffer = 1 << 10

// Inspect returns the state of a socket.
func Inspect(fd int) (s State, err error) {
	if s.Unacked, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ); err != nil {
		return s, err
	}
	if s.Unread, err = unix.IoctlGetInt(fd, unix.SIOCINQ); err != nil {
		return s, err
	}
	var info unix.TCPInfo
	if getOptionAt(fd, unix.IPPROTO_TCP, unix.TCP_INFO, unsafe.Pointer(&info), unix.SizeofTCPInfo) != nil {
		s.Full = s.Unread >= smallBuffer
		s.Ended = ended(fd)
		return s, nil
	}
	s.TCP = true
	s.Received, s.Acked, s.Window = info.Bytes_received, info.Bytes_acked, info.Snd_wnd
	switch info.State {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2:
	default:
		s.Ended = true
	}
	// Received bytes take more memory than their number, the more so in small
	// segments, and the window closes before all of the buffer is used.
	var mem [unix.SK_MEMINFO_VARS]uint32
	if getOptionAt(fd, unix.SOL_SOCKET, unix.SO_MEMINFO, unsafe.Pointer(&mem), uint32(unsafe.Sizeof(mem))) == nil {
		s.Full = s.Unread > 0 && mem[unix.SK_MEMINFO_RMEM_ALLOC] >= mem[unix.SK_MEMINFO_RCVBUF]/4
	}
	return s, nil
}

// ended reports whether the peer sends no more, or the connection has failed.
func ended(fd int) bool {
	for {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return n > 0
		}
	}
}
