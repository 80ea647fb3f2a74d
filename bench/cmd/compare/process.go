//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"golang.org/x/sys/unix"
)

// launcher starts processes on given CPUs. It does so from one thread that
// lives as long as the program: a process inherits the affinity of the thread
// that starts it, and is killed by the kernel when that thread is gone, which
// is what remains when this program is killed without being asked.
type launcher struct {
	work chan func()
}

func newLauncher() *launcher {
	l := &launcher{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range l.work {
			f()
		}
	}()
	return l
}

// start starts the command on a CPU.
func (l *launcher) start(cmd *exec.Cmd, cpu int) error {
	// Its own process group: ^C is for us, and we end what we have started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	l.work <- func() {
		var old, one unix.CPUSet
		one.Set(cpu)
		err := unix.SchedGetaffinity(0, &old)
		if err == nil {
			err = unix.SchedSetaffinity(0, &one)
		}
		if err != nil {
			err = fmt.Errorf("cannot choose CPU %d: %w", cpu, err)
		} else {
			err = errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &old))
		}
		result <- err
	}
	return <-result
}

// allowedCPUs are the CPUs that this process may use.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// process is a server under measurement.
type process struct {
	cmd    *exec.Cmd
	addr   string
	lines  chan string // of its standard output, after the first
	stderr *tail
	done   chan struct{} // closed when it has ended
	err    error         // what Wait has returned; valid when done is closed
}

// errUnsupported says that a server does not have the mode asked for.
var errUnsupported = errors.New("not supported")

// exitUnsupported is the exit status by which a server says so.
const exitUnsupported = 3

// startServer starts a program of the contract and waits until it listens.
func (l *launcher) startServer(ctx context.Context, cpu int, program string, flags ...string) (*process, error) {
	p := &process{stderr: new(tail), lines: make(chan string, 16), done: make(chan struct{})}
	p.cmd = exec.Command(program, flags...)
	p.cmd.Stderr = p.stderr
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout = in
	err = l.start(p.cmd, cpu)
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go func() {
		defer out.Close()
		defer close(p.lines)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			select {
			case p.lines <- scan.Text():
			default: // more lines than the contract has, read by nobody
			}
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	line, err := p.line(ctx, 10*time.Second)
	if err == nil {
		var ok bool
		if p.addr, ok = strings.CutPrefix(line, "listening on "); ok {
			return p, nil
		}
		err = fmt.Errorf("the server prints %q instead of where it listens", line)
	}
	p.stop()
	if p.cmd.ProcessState.ExitCode() == exitUnsupported {
		err = errUnsupported
	}
	return nil, err
}

// line waits for the next line that the server prints.
func (p *process) line(ctx context.Context, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lines := p.lines
	for {
		select {
		case line, ok := <-lines:
			if ok {
				return line, nil
			}
			lines = nil // its output is closed, as it is before it has ended
		case <-p.done:
			return "", p.died()
		case <-ctx.Done():
			return "", fmt.Errorf("the server prints nothing: %w", ctx.Err())
		}
	}
}

// died describes the end of a server that should be running.
func (p *process) died() error {
	if text := p.stderr.String(); text != "" {
		return fmt.Errorf("the server has ended (%v): %s", p.cmd.ProcessState, text)
	}
	return fmt.Errorf("the server has ended (%v)", p.cmd.ProcessState)
}

// collect has the server collect its garbage, and returns when it has.
func (p *process) collect(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return p.died()
	} else if err != nil {
		return fmt.Errorf("SIGUSR1: %w", err)
	}
	line, err := p.line(ctx, 30*time.Second)
	if err == nil && line != "collected" {
		err = fmt.Errorf("the server prints %q instead of \"collected\"", line)
	}
	return err
}

// blame returns why a measurement has failed: err, which the load generator
// has met, or that the server has ended, which shows there first. The kernel
// closes the connections of a process before it tells its parent, so whether
// the server lives is only known when it has answered.
func (p *process) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	p.collect(ctx)
	select {
	case <-p.done:
		return p.died()
	default:
		return err
	}
}

// stop ends the server and returns when it is gone. A server that does not
// obey SIGTERM is killed.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// tail keeps the beginning of what a server writes to its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), 500-len(t.text))]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// loadEnv marks a process as the load generator; see loadMain.
const loadEnv = "WEBSOCKET_BENCH_LOAD"

// runLoad does the job in a process of its own, on the given CPU.
func (l *launcher) runLoad(ctx context.Context, cpu int, job load.Job, pause load.Pause) (load.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return load.Result{}, err
	}
	stderr := new(tail)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), loadEnv+"=1", "GOGC=off", "GOMEMLIMIT=2GiB")
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return load.Result{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return load.Result{}, err
	}
	if err := l.start(cmd, cpu); err != nil {
		return load.Result{}, err
	}
	stopKill := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	result, err := converse(in, out, job, pause)
	stopKill()
	in.Close()
	cmd.Process.Kill() // it has said what it has to say
	cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case errors.Is(err, io.EOF):
		return result, fmt.Errorf("the load generator has ended (%v): %s", cmd.ProcessState, stderr)
	}
	return result, err
}
