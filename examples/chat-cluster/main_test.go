package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/examples/internal/chat"
)

// serverVariable in the environment makes the tests' program a server.
const serverVariable = "CHAT_CLUSTER_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a server as a program of its own.
type process struct {
	cmd       *exec.Cmd
	url, nats string // where it is; where its broker is, if it has one
	ended     func() error
}

// start starts a server and waits until it says where it is.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, ended: sync.OnceValue(cmd.Wait)}
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	for lines := bufio.NewReader(stdout); p.url == ""; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q says %q: %v", args, line, err)
		}
		if _, nats, ok := strings.Cut(line, "-nats "); ok {
			p.nats = strings.TrimSpace(nats)
		}
		if _, url, ok := strings.Cut(line, "The chat is at "); ok {
			p.url = strings.TrimSpace(url)
			go io.Copy(io.Discard, lines)
		}
	}
	return p
}

// end sends the server a signal, waits until it has ended, and returns how.
func (p *process) end(sig os.Signal) error {
	p.cmd.Process.Signal(sig) // fails if it has ended already
	return p.ended()
}

// host returns the host and the port in a URL.
func host(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// page is a connection to a server, as a page has it.
type page struct {
	t      *testing.T
	name   string
	conn   *websocket.Conn
	events chan event // until the connection ends
}

// event is a message of a server, with the fields that the tests need.
type event struct {
	Type, Server, ID, Name, Text string
	People                       []struct{ Name string }
	Messages                     []event
}

// join connects to a server and enters the room tea. It returns what comes up to
// the welcome, and the messages between that and ready.
func join(t *testing.T, p *process, name string) (*page, event, []event) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), p.url+"ws", &websocket.DialOptions{
		Header: http.Header{"Origin": {strings.TrimSuffix(p.url, "/")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	pg := &page{t, name, conn, make(chan event, 1000)}
	go pg.read()
	pg.send("join", "room", "tea", "name", name, "key", "the secret key of "+name)
	welcome := pg.expect("welcome")
	var said []event
	for {
		switch e := pg.next(); e.Type {
		case "ready":
			return pg, welcome, said
		case "message":
			said = append(said, e)
		case "history":
			said = append(said, e.Messages...)
		}
	}
}

// read reads all the time, as a browser does.
func (p *page) read() {
	defer close(p.events)
	for {
		_, data, err := p.conn.Read(context.Background())
		if err != nil {
			return
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			p.t.Errorf("%s gets %q: %v", p.name, data, err)
		}
		p.events <- e
	}
}

func (p *page) send(typ string, fields ...string) {
	p.t.Helper()
	v := map[string]string{"type": typ}
	for i := 0; i < len(fields); i += 2 {
		v[fields[i]] = fields[i+1]
	}
	msg, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.conn.Write(p.t.Context(), websocket.Text, msg); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// say says something, and waits until it is acknowledged.
func (p *page) say(text string) {
	p.t.Helper()
	p.send("say", "id", text, "text", text)
	p.expect("ack")
}

func (p *page) next() event {
	p.t.Helper()
	select {
	case e, ok := <-p.events:
		if !ok {
			p.t.Fatalf("%s: %v", p.name, context.Cause(p.conn.Context()))
		}
		if e.Type == "error" {
			p.t.Fatalf("%s gets %+v", p.name, e)
		}
		return e
	case <-time.After(time.Minute):
		p.t.Fatalf("%s waits in vain", p.name)
	}
	panic("unreachable")
}

// expect reads until an event of that type comes.
func (p *page) expect(typ string) event {
	p.t.Helper()
	for {
		if e := p.next(); e.Type == typ {
			return e
		}
	}
}

// hears reads until a message with that text comes.
func (p *page) hears(text string) {
	p.t.Helper()
	for p.expect("message").Text != text {
	}
}

// Two servers in two processes share a room. One ends and comes back; so does,
// after a crash, the one with the broker.
func TestTwoProcesses(t *testing.T) {
	first := start(t, "-addr", "127.0.0.1:0", "-broker", "127.0.0.1:0")
	if first.nats == "" {
		t.Fatal("there is no broker")
	}
	ada, welcome, _ := join(t, first, "Ada")
	if welcome.Server != host(t, first.url) {
		t.Errorf("the server is %q", welcome.Server)
	}
	ada.say("to nobody")

	second := start(t, "-addr", "127.0.0.1:0", "-nats", first.nats)
	bo, welcome, said := join(t, second, "Bo")
	if welcome.Server != host(t, second.url) {
		t.Errorf("the server is %q", welcome.Server)
	}
	if len(said) == 0 { // the first server is being asked
		said = bo.expect("history").Messages
	}
	if len(said) != 1 || said[0].Text != "to nobody" {
		t.Errorf("what was said before is %+v", said)
	}
	if e := ada.expect("joined"); e.Name != "Bo" {
		t.Errorf("joined is %+v", e)
	}
	for i := range 5 {
		text := fmt.Sprint("hello ", i)
		ada.say(text)
		bo.hears(text)
		bo.send("typing")
		ada.expect("typing")
	}
	bo.say("hello yourself")
	ada.hears("hello yourself")
	cy, welcome, _ := join(t, second, "Cy")
	if len(welcome.People) != 3 {
		t.Errorf("people are %+v", welcome.People)
	}
	if e := ada.expect("joined"); e.Name != "Cy" {
		t.Errorf("joined is %+v", e)
	}
	cy.conn.CloseNow()
	if e := ada.expect("left"); e.Name != "Cy" {
		t.Errorf("left is %+v", e)
	}

	// The second server ends, its people are gone, and come back.
	if err := second.end(syscall.SIGTERM); err != nil {
		t.Errorf("the second server: %v", err)
	}
	if e := ada.expect("left"); e.Name != "Bo" {
		t.Errorf("left is %+v", e)
	}
	ada.say("is anybody there?")
	second = start(t, "-addr", host(t, second.url), "-nats", first.nats)
	bo, _, said = join(t, second, "Bo")
	if len(said) == 0 {
		said = bo.expect("history").Messages
	}
	if n := len(said); n == 0 || said[n-1].Text != "is anybody there?" {
		t.Errorf("what was said before is %+v", said)
	}
	ada.expect("joined")

	// The first server crashes, and the broker with it. The second one goes on.
	first.end(syscall.SIGKILL)
	di, _, _ := join(t, second, "Di")
	di.say("still here")
	bo.hears("still here")

	// They are back, and everybody hears everybody.
	first = start(t, "-addr", host(t, first.url), "-broker", host(t, first.nats))
	ada, _, _ = join(t, first, "Ada")
	heard := make(chan bool)
	go func() {
		defer close(heard)
		for {
			if e, ok := <-bo.events; !ok || strings.HasPrefix(e.Text, "back ") {
				return
			}
		}
	}()
	for i, waiting := 0, true; waiting; i++ {
		ada.say(fmt.Sprint("back ", i))
		select {
		case <-heard:
			waiting = false
		case <-time.After(250 * time.Millisecond): // as often as one may say something
		}
	}
	if err := bo.conn.Context().Err(); err != nil {
		t.Errorf("Bo's connection has ended: %v", context.Cause(bo.conn.Context()))
	}
	di.say("good to see you")
	ada.hears("good to see you")

	for _, p := range []*process{second, first} {
		if err := p.end(os.Interrupt); err != nil {
			t.Errorf("a server: %v", err)
		}
	}
}

// The broker has the port that it is given, or any other if it is given none.
func TestBroker(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "", ""} {
		s, err := startBroker(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Shutdown()
		if _, err := startBroker(host(t, s.ClientURL())); err == nil {
			t.Errorf("two brokers at %s", s.ClientURL())
		}
	}
	if _, err := startBroker("nowhere"); err == nil {
		t.Error("a broker at an address that is none")
	}
}

func TestErrors(t *testing.T) {
	for _, args := range [][3]string{
		{"nowhere", "", "127.0.0.1:0"},
		{"127.0.0.1:0", "nats://%zz", ""},
		{"127.0.0.1:0", "", "nowhere"},
	} {
		if err := run(t.Context(), chat.Options{}, args[0], args[1], args[2]); err == nil {
			t.Errorf("%q went well", args)
		}
	}
}
