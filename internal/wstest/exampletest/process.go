// Package exampletest runs the examples in tests as programs of their own, and judges the
// pages they serve.
package exampletest

import (
	"bufio"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Process is a program that runs.
type Process struct {
	URL string // where it says that it is
	Cmd *exec.Cmd

	t testing.TB
}

// Build builds the program in the current folder and returns its path.
func Build(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Start starts a program and waits until it says where it is: a URL behind some
// words, in its first line. The test's cleanup kills it.
func Start(t testing.TB, words, path string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: exec.Command(path, args...)}
	p.Cmd.Stderr = os.Stderr
	stdout, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(os.Kill) })
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the program says %q: %v", line, err)
	}
	_, p.URL, _ = strings.Cut(strings.TrimSpace(line), words)
	go io.Copy(io.Discard, lines)
	return p
}

// Addr is where the program listens.
func (p *Process) Addr() string {
	u, err := url.Parse(p.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Host
}

// End sends the program a signal, waits until it has ended, and returns how.
func (p *Process) End(sig os.Signal) error {
	if p.Cmd.ProcessState != nil {
		return nil // it has
	}
	if err := p.Cmd.Process.Signal(sig); err != nil {
		return err
	}
	return p.Cmd.Wait()
}
