//go:build !unix

package behaviour_test

import (
	"syscall"
	"testing"
)

func setBuffers(t testing.TB, _ syscall.RawConn) {
	t.Skip("socket buffers are set on Unix systems only")
}
