package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// process is a browser's process. It is ended by stop, and on Linux also when the
// program that started it ends in any way.
type process struct {
	cmd     *exec.Cmd
	profile string        // a temporary directory
	exited  chan struct{} // closed when the process has ended
	stderr  *stderr
}

// lookPath returns the program that the environment variable names, or else the
// first of names that is found in $PATH.
func lookPath(variable string, names ...string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("browser: none of %s is in $PATH, and $%s is not set", strings.Join(names, ", "), variable)
}

// startProcess starts the browser at path. The browser prints the URL at which it can
// be driven to stderr, after the words of announcement. arguments is called with the
// profile, an empty directory, which it may fill. env is added to the environment.
func startProcess(path, announcement string, arguments func(profile string) ([]string, error), env ...string) (*process, error) {
	profile, err := os.MkdirTemp("", "browser-*")
	if err != nil {
		return nil, err
	}
	p := &process{
		profile: profile,
		exited:  make(chan struct{}),
		stderr:  &stderr{announcement: announcement, url: make(chan string, 1)},
	}
	args, err := arguments(profile)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(profile))
	}
	p.cmd = exec.Command(path, args...)
	// A browser keeps some things outside of the profile: they go into it, too.
	p.cmd.Env = append(os.Environ(), "HOME="+profile,
		"XDG_CONFIG_HOME="+filepath.Join(profile, ".config"), "XDG_CACHE_HOME="+filepath.Join(profile, ".cache"))
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = closeTimeout // for a child that outlives the browser, with stderr open
	endWithParent(p.cmd)
	started := make(chan error)
	go func() {
		// Linux takes the end of this thread for the end of the parent.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait() // only the time of the end matters
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, os.RemoveAll(profile))
	}
	return p, nil
}

// dial waits for the URL and connects to it, at path. Nothing but ctx bounds
// the wait: a slow machine may take long to start a browser.
func (p *process) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	name := filepath.Base(p.cmd.Path)
	select {
	case url := <-p.stderr.url:
		// No Origin header, by which browsers recognise web pages and refuse to be
		// driven by them. A screenshot is one message, so there is no read limit.
		conn, _, err := websocket.Dial(ctx, url+path, &websocket.DialOptions{
			Options: websocket.Options{ReadLimit: -1},
		})
		if err != nil {
			return nil, fmt.Errorf("browser: connecting to %s: %w", name, err)
		}
		return conn, nil
	case <-p.exited:
		return nil, fmt.Errorf("browser: %s has ended at once:\n%s", name, p.stderr)
	case <-ctx.Done():
		return nil, fmt.Errorf("browser: %s did not start: %w\n%s", name, context.Cause(ctx), p.stderr)
	}
}

// stop waits for a process that was asked to end until ctx ends, then kills it,
// and removes the profile. It returns when the process is gone.
func (p *process) stop(ctx context.Context) error {
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.cmd.Process.Kill() // fails if it has ended just now
		<-p.exited
	}
	return removeAll(p.profile)
}

// removeAll removes the profile. The children of a browser that was killed may
// outlive it by a moment, and write there.
func removeAll(dir string) (err error) {
	for range 500 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// stderr takes the browser's standard error. It finds the URL there, and keeps the
// last lines for error messages.
type stderr struct {
	announcement string
	url          chan string // has room for one

	mu    sync.Mutex // guards the fields below
	lines []string
	rest  string // the beginning of a line
}

// stderrLines is how many lines are kept.
const stderrLines = 40

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(s.rest+string(p), "\n")
	s.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		s.lines = append(s.lines, line)
		if _, url, ok := strings.Cut(line, s.announcement); ok {
			select {
			case s.url <- strings.TrimSpace(url):
			default: // the URL was printed before
			}
		}
	}
	s.lines = s.lines[max(0, len(s.lines)-stderrLines):]
	return len(p), nil
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(slices.Clone(s.lines), s.rest), "\n")
}
