package natsplane

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// TestMain makes this program a broker or a hub if a test has started it as
// such. Else it fails the run if the tests leave goroutines behind.
func TestMain(m *testing.M) {
	if play := roles[os.Getenv(roleVariable)]; play != nil {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if code == 0 {
		if left := goroutinesLeft(); left != "" {
			fmt.Fprintln(os.Stderr, "goroutines are left:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// goroutinesLeft returns the stacks of the goroutines of this project and of
// nats.go, apart from the caller's. Those that are about to end get the time to
// do so.
func goroutinesLeft() (left string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = ""
		buf := make([]byte, 1<<20)
		for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && (strings.Contains(stack, "fullduplex-go/websocket") || strings.Contains(stack, "nats-io/nats.go")) {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			break
		}
	}
	return left
}

// testTimeout is how long something may take that happens elsewhere.
const testTimeout = 30 * time.Second

// newBroker starts a broker on a loopback port; 0 is any.
func newBroker(port int) (*server.Server, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(testTimeout) {
		s.Shutdown()
		return nil, errors.New("the broker does not start")
	}
	return s, nil
}

func startBroker(t *testing.T) *server.Server {
	t.Helper()
	s, err := newBroker(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// logBuffer is a logger that a test can read.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *logBuffer) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// waitFor waits until words have been logged.
func (j *logBuffer) waitFor(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		for line := range strings.Lines(j.text.String()) {
			if containsAll(line, words) {
				return true
			}
		}
		return false
	}, "a line with %q", words)
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// eventually waits until a condition holds that depends on other goroutines or
// processes.
func eventually(t *testing.T, is func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is never "+format, args...)
		}
	}
}

// connect returns a plane on a connection of its own.
func connect(t *testing.T, s *server.Server, opts *Options, natsOpts ...nats.Option) *Plane {
	t.Helper()
	nc, err := Connect(s.ClientURL(), natsOpts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return New(nc, opts)
}

// inbox holds the messages of a subscription.
type inbox chan string

func (in inbox) deliver(msg []byte) { in <- string(msg) }

func (in inbox) next(t *testing.T) string {
	t.Helper()
	select {
	case msg := <-in:
		return msg
	case <-time.After(testTimeout):
		t.Fatal("nothing arrives")
		return ""
	}
}

// subscribe returns the inbox of a subscription, once the broker knows of it.
func subscribe(t *testing.T, p *Plane, topic string) (inbox, func() error) {
	t.Helper()
	in := make(inbox, 1<<16)
	unsubscribe, err := p.Subscribe(topic, in.deliver)
	if err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	return in, unsubscribe
}

func publish(t *testing.T, p *Plane, topic, msg string) {
	t.Helper()
	if err := p.Publish(topic, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// flush waits until the broker has had all that p has sent.
func flush(t *testing.T, p *Plane) {
	t.Helper()
	if err := p.nc.FlushTimeout(testTimeout); err != nil {
		t.Fatal(err)
	}
}
