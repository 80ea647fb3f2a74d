package websocket

import (
	"runtime"
	"testing"
)

// TestHookFails: a hook panics, or ends the goroutine, in a call of the user's,
// whether the message is written or held. That is the user's affair, but the
// connection can be closed, and nobody hangs.
func TestHookFails(t *testing.T) {
	for _, k := range transports {
		for _, batch := range []bool{false, true} {
			for name, fail := range map[string]func(){"panic": func() { panic("fault of the test") }, "Goexit": runtime.Goexit} {
				t.Run(k.name+"/"+name, func(t *testing.T) {
					c, peer := k.raw(t, false, Options{Trace: &Trace{FrameOut: func(_ *Conn, h Header) {
						if h.Opcode == OpBinary {
							fail()
						}
					}}})
					wire := text("one")
					if batch {
						wire = append(wire, text("two")...)
					}
					peer.Write(wire)
					if _, _, err := c.Read(bg); err != nil {
						t.Fatal(err)
					}
					returned := make(chan any)
					go func() {
						defer func() { returned <- recover() }()
						c.Write(bg, Binary, []byte("answer"))
					}()
					if v := mustReceive(t, returned); (v != nil) != (name == "panic") {
						t.Errorf("Write panics with %v", v)
					}
					ended := make(chan struct{})
					go func() {
						c.CloseNow()
						c.Stats()
						close(ended)
					}()
					mustReceive(t, ended)
				})
			}
		}
	}
}
