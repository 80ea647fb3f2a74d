package contract_test

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testTimeout bounds every wait of these tests. It is long, because nothing
// depends on it but how soon a hang is noticed.
const testTimeout = 30 * time.Second

// build compiles the servers named and returns the directory they are in.
func build(t *testing.T, servers []string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range servers {
		args = append(args, "../../cmd/"+name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return dir
}

// process is a server that runs until it is told to end.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	lines  chan string // what it prints, closed when it closes its output
	stderr bytes.Buffer
	ended  bool
}

// start runs a server and waits until it listens.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(path, args...), lines: make(chan string, 16)}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.ended {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	addr, found := strings.CutPrefix(p.line(), "listening on ")
	if !found {
		t.Fatal("the first line does not say where the server listens")
	}
	p.addr = addr
	return p
}

// line returns the next line of standard output.
func (p *process) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.cmd.Wait()
			p.ended = true
			p.t.Fatalf("the server has ended (%v) and says: %s", p.cmd.ProcessState, &p.stderr)
		}
		return line
	case <-time.After(testTimeout):
		p.t.Fatal("the server prints nothing")
	}
	return ""
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// collect has the server return its memory.
func (p *process) collect() {
	p.t.Helper()
	p.signal(syscall.SIGUSR1)
	if line := p.line(); line != "collected" {
		p.t.Fatalf("SIGUSR1 printed %q", line)
	}
}

// terminate ends the server and checks that it went as it should, and that it
// has had nothing to say in between.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	late := time.AfterFunc(testTimeout, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	for line := range p.lines {
		p.t.Errorf("printed %q", line)
	}
	err := p.cmd.Wait()
	p.ended = true
	if err != nil {
		p.t.Errorf("SIGTERM ended it with %v", err)
	}
	if p.stderr.Len() > 0 {
		p.t.Errorf("standard error: %s", &p.stderr)
	}
}

// exitStatus runs a server that is to refuse its flags.
func exitStatus(t *testing.T, path string, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	if err := cmd.Run(); err == nil {
		return 0
	}
	return cmd.ProcessState.ExitCode()
}
