package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// At a shutdown all connections are closed with 1001, and no new ones are accepted.
func TestShutdown(t *testing.T) {
	for _, mode := range []string{"conn", "loop"} {
		t.Run(mode, func(t *testing.T) { testShutdown(t, mode) })
	}
}

func testShutdown(t *testing.T, mode string) {
	url, stop := start(t, "-mode", mode)
	c := dial(t, url, nil)
	ended := make(chan error, 1)
	go func() {
		_, _, err := c.Read(testContext(t))
		ended <- err
	}()
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if err := <-ended; websocket.CloseCode(err) != websocket.StatusGoingAway {
		t.Errorf("the connection ended with %v, want 1001", err)
	}
	if _, _, err := websocket.Dial(testContext(t), url, nil); err == nil {
		t.Error("the server still accepts connections")
	}
}

// The program says that it ends, as well as what it does when its port is taken.
func TestWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		args []string
		want string
		err  error
	}{
		{[]string{"-addr", "127.0.0.1:0"}, "shutting down", nil},
		{[]string{"-h"}, "If the port is taken", flag.ErrHelp},
	} {
		var stderr bytes.Buffer
		if err := run(ctx, tt.args, io.Discard, &stderr); err != tt.err || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("run(%q) = %v, and says\n%s", tt.args, err, &stderr)
		}
	}
}
