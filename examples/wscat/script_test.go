package main

import (
	"context"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestScript(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script []string
		code   int
		stdout string
		stderr string
	}{
		{"met", []string{"send hello world", "expect ^hello w"}, 0, "hello world\n", "closed with 1000"},
		{"passes over others", []string{"send one", "send two", "expect two"}, 0, "one\ntwo\n", ""},
		{"each message once", []string{"send one", "expect one", "expect one"}, exitNoMatch, "one\n", `expect "one": no such message within`},
		{"hex", []string{"hex 00 ff", "expect ^00ff$"}, 0, "00ff\n", ""},
		{"empty", []string{"send", "expect ^$"}, 0, "\n", ""},
		{"ping and sleep", []string{"ping", "sleep 1ms"}, 0, "", "ping: "},
		{"close", []string{"close 4000 that's all"}, 0, "", "4000"},
		{"closed by the peer", []string{"send bye", "expect never"}, exitNoMatch, "", "the connection has ended"},
		{"nothing to send to", []string{"send bye", "expect never", "send more"}, exitNoMatch, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, func(c *websocket.Conn) {
				for msg, err := range c.Messages(context.Background()) {
					if err != nil || string(msg.Data) == "bye" || c.Write(context.Background(), msg.Type, msg.Data) != nil {
						return
					}
				}
			})
			// Where an expectation is met, the time does not matter.
			timeout := "1m"
			if strings.Contains(tt.stderr, "within") {
				timeout = "50ms"
			}
			args := []string{"-hex", "-timeout", timeout}
			for _, x := range tt.script {
				args = append(args, "-x", x)
			}
			wscat(t, endless(t), append(args, url)...).want(t, tt.code, tt.stdout, tt.stderr)
		})
	}
}

// Sending after the peer has closed is a failure.
func TestScriptAfterClose(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) { c.Close(websocket.StatusNormalClosure, "") })
	wscat(t, endless(t), "-x", "sleep 1m", "-x", "send more", url).want(t, exitFailed, "", "closed by the peer with 1000")
}

// An interrupt ends a script that waits.
func TestScriptSignal(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) { echo(c) })
	ctx, cancel := context.WithCancel(t.Context())
	status := notify(func(line string) {
		if strings.HasPrefix(line, "connected") {
			cancel()
		}
	})
	var stdout buffer
	if code := run(ctx, []string{"-timeout", "1h", "-x", "expect never", url}, endless(t), &stdout, status); code != exitNoMatch {
		t.Errorf("exit code %d", code)
	}
}

// A script that is not reading does not keep pongs and the end from arriving,
// and more messages than it has room for make the server wait.
func TestScriptFlood(t *testing.T) {
	const messages = 2*inboxSize + 1
	url := serve(t, func(c *websocket.Conn) {
		echo := make([]byte, 1)
		for i := range messages {
			echo[0] = byte('a' + i%26)
			if c.Write(context.Background(), websocket.Text, echo) != nil {
				return
			}
		}
		c.Write(context.Background(), websocket.Text, []byte("last"))
		c.Read(context.Background())
	})
	r := wscat(t, endless(t), "-timeout", "1m", "-x", "sleep 20ms", "-x", "expect last", url)
	if r.code != 0 || strings.Count(r.stdout, "\n") != messages+1 {
		t.Errorf("exit code %d after %d lines\n%s", r.code, strings.Count(r.stdout, "\n"), r.stderr)
	}
}

func TestScriptUsage(t *testing.T) {
	for _, x := range []string{"", "shout hello", "expect (", "hex 0", "hex xy", "sleep", "sleep long", "close soon", "close 70000", "send \xff"} {
		wscat(t, endless(t), "-x", x, "ws://unused.example").want(t, exitUsage, "", "usage: wscat")
	}
}

func TestHex(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		for range 3 {
			typ, p, err := c.Read(context.Background())
			if err != nil {
				return
			}
			c.Write(context.Background(), typ, p)
		}
		c.Close(websocket.StatusNormalClosure, "")
	})
	wscat(t, strings.NewReader("00ff 7f\n\nDEAD beef\n"), "-hex", "-wait", "-1s", url).want(t, 0, "00ff7f\n\ndeadbeef\n")
	wscat(t, strings.NewReader("zz\n"), "-hex", "-wait", "-1s", url).want(t, exitFailed, "", "line 1 is not hex")
	wscat(t, endless(t), "-hex", "-binary", url).want(t, exitUsage, "", "exclude each other")
}

// A message that waits for its expect keeps its bytes while others arrive.
func TestScriptKeepsMessages(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		for _, text := range []string{"needle", "straw1", "straw2", "straw3"} {
			if c.Write(context.Background(), websocket.Text, []byte(text)) != nil {
				return
			}
		}
		echo(c) // answers the ping, behind all that
	})
	wscat(t, endless(t), "-x", "ping", "-x", "expect needle", "-x", "expect straw3", url).
		want(t, 0, "needle\nstraw1\nstraw2\nstraw3\n")
}
