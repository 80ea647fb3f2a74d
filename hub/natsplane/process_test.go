package natsplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// A test starts its own program again, with these variables in its environment.
const (
	roleVariable = "NATSPLANE_TEST_ROLE"
	argVariable  = "NATSPLANE_TEST_ARG"
)

// roles are the roles that the program can play. Each prints its address in one line,
// and ends when its standard input does: when the test closes it, or is gone.
var roles = map[string]func() error{"broker": playBroker, "hub": playHub}

// playBroker is a broker on the port that is its argument; 0 is any.
func playBroker() error {
	var port int
	if _, err := fmt.Sscan(os.Getenv(argVariable), &port); err != nil {
		return err
	}
	s, err := newBroker(port)
	if err != nil {
		return err
	}
	fmt.Println(s.ClientURL())
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// playHub is a WebSocket server with a hub that is connected to the broker at
// its argument. A client gets the messages of the topic in its query, and its own
// messages are published there.
func playHub() error {
	nc, err := Connect(os.Getenv(argVariable))
	if err != nil {
		return err
	}
	defer nc.Close()
	h := hub.New(&hub.Options{Backplane: New(nc, nil)})
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		if err := relay(h, c); err != nil {
			fmt.Fprintln(os.Stderr, "hub:", err)
		}
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: ws}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	fmt.Printf("ws://%s/\n", ln.Addr())
	io.Copy(io.Discard, os.Stdin)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(srv.Shutdown(ctx), h.Shutdown(ctx), ws.Shutdown(ctx))
	if e := <-failed; e != http.ErrServerClosed {
		err = errors.Join(err, e)
	}
	return err
}

// subscribedWord is the message to a client that has subscribed.
const subscribedWord = "subscribed"

func relay(h *hub.Hub, c *websocket.Conn) error {
	topic := c.Request().URL.Query().Get("topic")
	if _, err := h.Subscribe(topic, c, &hub.SubscribeOptions{Policy: hub.Disconnect}); err != nil {
		return err
	}
	if err := c.Write(c.Context(), websocket.Text, []byte(subscribedWord)); err != nil {
		return err
	}
	for msg, err := range c.Messages(c.Context()) {
		if err != nil {
			return nil // the test sees it too
		}
		if err := h.Publish(topic, msg.Type, msg.Data); err != nil {
			return err
		}
	}
	return nil
}

// process is this program, playing a role.
type process struct {
	cmd   *exec.Cmd
	url   string
	end   func()       // lets it end
	ended func() error // waits until it has ended, and says how
}

// startProcess starts it and waits until it says where it is.
func startProcess(t *testing.T, role, arg string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, argVariable+"="+arg)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, end: func() { stdin.Close() }, ended: sync.OnceValue(cmd.Wait)}
	t.Cleanup(func() {
		cmd.Process.Kill()
		p.ended()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the %s says %q: %v", role, line, err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends it as a crash would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.ended() // says that it was killed
}
