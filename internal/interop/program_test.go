//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echoBinary is examples/echo, built once for all tests.
var echoBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	echoBinary = filepath.Join(dir, "echo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", echoBinary, "github.com/fullduplex-go/websocket/examples/echo")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building examples/echo:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// testTime bounds each test, and with it every program that it starts.
const testTime = 2 * time.Minute

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// lookPath finds a program in PATH, or where administrators' programs are.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		t.Fatalf("%s is needed for this test, see the package documentation: %v", name, err)
	}
	return path
}

// A peer is a language with another implementation: it runs the scripts in
// testdata.
type peer struct {
	name        string
	extension   string // of its scripts
	interpreter func(*testing.T) string
	probe       []string // arguments that find out whether the library is there
}

var peers = []peer{
	{
		name:        "ws",
		extension:   ".js",
		interpreter: func(t *testing.T) string { return lookPath(t, "node") },
		probe:       []string{"-p", "'ws ' + require('ws/package.json').version"},
	},
	{
		name:      "websockets",
		extension: ".py",
		interpreter: func(t *testing.T) string {
			if python := os.Getenv("PYTHON"); python != "" {
				return python
			}
			return lookPath(t, "python3")
		},
		probe: []string{"-c", "import websockets; print('websockets', websockets.__version__)"},
	},
}

// forEachPeer runs test for every peer, and fails for one that is missing.
func forEachPeer(t *testing.T, test func(*testing.T, peer)) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			out, err := exec.CommandContext(testContext(t), p.interpreter(t), p.probe...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s is needed for this test, see the package documentation: %v\n%s", p.name, err, out)
			}
			t.Logf("%s", out)
			test(t, p)
		})
	}
}

// start starts testdata/role of this peer's language.
func (p peer) start(t *testing.T, role string, args ...string) *program {
	t.Helper()
	return start(t, nil, p.interpreter(t), append([]string{filepath.Join("testdata", role+p.extension)}, args...)...)
}

// A program tells on its standard output, line by line, what goes on. It is
// ended with the test, if it is still there.
type program struct {
	cmd   *exec.Cmd
	lines chan string // closed when standard output is
}

// start starts a program. prepare, if not nil, may change the command first.
func start(t *testing.T, prepare func(*exec.Cmd), name string, args ...string) *program {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), name, args...)
	cmd.Stderr = t.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that its children end, too
	cmd.WaitDelay = 10 * time.Second
	if prepare != nil {
		prepare(cmd)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: cmd, lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Cancel()
			p.wait()
		}
	})
	return p
}

// wait waits for the end of the program, and drops what it still prints.
func (p *program) wait() error {
	for range p.lines {
	}
	return p.cmd.Wait()
}

// stop ends the program as a service manager does, and expects it to comply.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("%s: %v", filepath.Base(p.cmd.Path), err)
	}
}

// line returns the next line of output, which must come.
func (p *program) line(t *testing.T) string {
	t.Helper()
	line, ok := <-p.lines
	if !ok {
		t.Fatalf("%s has ended", filepath.Base(p.cmd.Path))
	}
	return line
}

// url returns the URL that a server announces on its first line.
func (p *program) url(t *testing.T) string {
	t.Helper()
	line := p.line(t)
	url, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("want a line that tells the URL, got %q", line)
	}
	return url
}

// startEcho starts examples/echo on a free port.
func startEcho(t *testing.T, args ...string) (echo *program, url string) {
	t.Helper()
	echo = start(t, nil, echoBinary, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	return echo, echo.url(t)
}
