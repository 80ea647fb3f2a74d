package websocket

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// TestSameWithAndWithoutLoop: what a connection tells about itself does not
// depend on who reads.
func TestSameWithAndWithoutLoop(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var mu sync.Mutex
			var log []string
			note := func(event string) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, event)
			}
			ended := make(chan error, 1)
			opts := Options{Trace: &Trace{
				FrameIn:  func(_ *Conn, h Header) { note("<" + h.Opcode.String()) },
				FrameOut: func(_ *Conn, h Header) { note(">" + h.Opcode.String()) },
				Close:    func(_ *Conn, err error) { ended <- err },
			}}.withDefaults()
			type key struct{}
			req, err := http.NewRequestWithContext(context.WithValue(bg, key{}, "value"), "GET", "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			a, b := k.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			c := newConn(b, connConfig{opts: opts, subprotocol: "chat", request: req})
			defer c.CloseNow()
			local, remote := c.LocalAddr().String(), c.RemoteAddr().String()
			before := c.Context()
			if k.loop {
				readOnLoop(t, newTestLoop(t, 1), c)
			}
			go echo(c)
			for range 3 {
				if err := client.Write(bg, Text, []byte("12345")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := client.Read(bg); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Ping(bg); err != nil {
				t.Fatal(err)
			}
			want := Stats{MessagesRead: 3, MessagesWritten: 3, BytesRead: 3*(6+5) + 6 + 8, BytesWritten: 3*(2+5) + 2 + 8}
			until(t, fmt.Sprintf("Stats %+v", want), func() bool { return c.Stats() == want })
			if c.Subprotocol() != "chat" || c.Request() != req || c.Context() != before || before.Value(key{}) != "value" || before.Err() != nil {
				t.Error("it does not remember its handshake")
			}
			if l, r := c.LocalAddr().String(), c.RemoteAddr().String(); l != local || r != remote {
				t.Errorf("addresses %s, %s, want %s, %s", l, r, local, remote)
			}
			if err := client.Close(4321, "why not"); err != nil {
				t.Error(err)
			}
			err = mustReceive(t, ended)
			if cause := context.Cause(before); cause != err || CloseCode(err) != 4321 {
				t.Errorf("Trace.Close was told %v, the cause is %v", err, cause)
			}
			mu.Lock()
			defer mu.Unlock()
			if got, want := fmt.Sprint(log), "[<text >text <text >text <text >text <ping >pong <close >close]"; got != want {
				t.Errorf("frames %v, want %v", got, want)
			}
		})
	}
}
