//go:build unix

package behaviour_test

import (
	"syscall"
	"testing"
)

// setBuffers makes the buffers of a TCP socket small, and those of the sockets
// that a listener accepts. Those of Unix sockets are small enough.
func setBuffers(t testing.TB, rc syscall.RawConn) {
	t.Helper()
	var err error
	cerr := rc.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 32<<10); err == nil {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 32<<10)
		}
	})
	if cerr != nil || err != nil {
		t.Errorf("socket buffers: %v, %v", cerr, err)
	}
}
