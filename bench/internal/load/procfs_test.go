//go:build linux

package load

import (
	"bytes"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
)

func TestParseResident(t *testing.T) {
	n, err := parseResident([]byte("55d0-7ffc ---p 00000000 00:00 0   [rollup]\nRss:      1784 kB\nPss:  280 kB\n"))
	if err != nil || n != 1784<<10 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := parseResident([]byte("Pss: 280 kB\n")); err == nil {
		t.Error("no error without an Rss line")
	}
	debug.FreeOSMemory() // else the block may be where garbage was, and resident already
	before, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte{1}, 32<<20)
	after, err := Resident(os.Getpid())
	if err != nil || after-before < 24<<20 {
		t.Errorf("%d bytes after %d, with %d more in use; %v", after, before, len(block), err)
	}
}

func TestWriteCalls(t *testing.T) {
	n, err := parseWriteCalls([]byte("rchar: 6976\nsyscr: 10\nsyscw: 12\nread_bytes: 0\n"))
	if err != nil || n != 12 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := parseWriteCalls([]byte("syscr: 10\n")); err == nil {
		t.Error("no error without a line of them")
	}
	before, err := WriteCalls(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before == 0 {
		t.Skip("this kernel does not count them")
	}
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pipe[0])
	defer syscall.Close(pipe[1])
	for range 100 {
		if _, err := syscall.Write(pipe[1], []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	after, err := WriteCalls(os.Getpid())
	if err != nil || after-before < 100 {
		t.Errorf("%d after %d, with 100 more; %v", after, before, err)
	}
}
