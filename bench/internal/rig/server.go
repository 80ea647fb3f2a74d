//go:build linux

package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is a server under measurement, in a process of its own.
type Server struct {
	Addr string // address on which it listens

	cmd    *exec.Cmd
	lines  chan string // of its standard output, after the first
	stderr *limitedBuffer
	done   chan struct{} // closed when it has ended
}

// ErrUnsupported means that a server does not have the requested mode.
var ErrUnsupported = errors.New("not supported")

// exitUnsupported is the exit status for ErrUnsupported.
const exitUnsupported = 3

// StartServer starts a program of the contract on the given CPUs and waits until it
// listens.
func (l *Launcher) StartServer(ctx context.Context, cmd *exec.Cmd, cpus ...int) (*Server, error) {
	s := &Server{cmd: cmd, stderr: new(limitedBuffer), lines: make(chan string, 16), done: make(chan struct{})}
	cmd.Stderr = s.stderr
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	err = l.Start(cmd, cpus...)
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go func() {
		defer out.Close()
		defer close(s.lines)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			select {
			case s.lines <- scan.Text():
			default: // more lines than the contract has, read by nobody
			}
		}
	}()
	go func() {
		cmd.Wait() // the result is in ProcessState
		close(s.done)
	}()
	line, err := s.line(ctx, 10*time.Second)
	if err == nil {
		var ok bool
		if s.Addr, ok = strings.CutPrefix(line, "listening on "); ok {
			return s, nil
		}
		err = fmt.Errorf("the server prints %q instead of where it listens", line)
	}
	s.Stop()
	if cmd.ProcessState.ExitCode() == exitUnsupported {
		err = ErrUnsupported
	}
	return nil, err
}

// PID is the id of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stderr is the beginning of what it has written to its standard error.
func (s *Server) Stderr() string { return s.stderr.String() }

// line waits for the next line that the server prints.
func (s *Server) line(ctx context.Context, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lines := s.lines
	for {
		select {
		case line, ok := <-lines:
			if ok {
				return line, nil
			}
			lines = nil // the output is closed before the process has ended
		case <-s.done:
			return "", s.died()
		case <-ctx.Done():
			return "", fmt.Errorf("the server prints nothing: %w", ctx.Err())
		}
	}
}

// died describes the end of a server that should be running.
func (s *Server) died() error {
	if text := s.Stderr(); text != "" {
		return fmt.Errorf("the server has ended (%v): %s", s.cmd.ProcessState, text)
	}
	return fmt.Errorf("the server has ended (%v)", s.cmd.ProcessState)
}

// Alive returns an error if the server has ended.
func (s *Server) Alive() error {
	select {
	case <-s.done:
		return s.died()
	default:
		return nil
	}
}

// Collect makes the server collect its garbage, and returns when it has.
func (s *Server) Collect(ctx context.Context) error {
	if err := s.cmd.Process.Signal(syscall.SIGUSR1); errors.Is(err, os.ErrProcessDone) {
		<-s.done
		return s.died()
	} else if err != nil {
		return fmt.Errorf("SIGUSR1: %w", err)
	}
	line, err := s.line(ctx, 30*time.Second)
	if err == nil && line != "collected" {
		err = fmt.Errorf("the server prints %q instead of \"collected\"", line)
	}
	return err
}

// Diagnose returns why a measurement has failed: err, an error of the load generator, or
// the end of the server, which caused err. The kernel closes the connections of a
// process before it tells the parent, so Diagnose waits for an answer of the server to
// know that it lives.
func (s *Server) Diagnose(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	s.Collect(ctx)
	if died := s.Alive(); died != nil {
		return died
	}
	return err
}

// Stop ends the server and returns when it is gone. A server that does not
// obey SIGTERM is killed.
func (s *Server) Stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
	}
}

// limitedBuffer keeps the beginning of a server's standard error.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (t *limitedBuffer) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), 500-len(t.text))]...)
	return len(b), nil
}

func (t *limitedBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
