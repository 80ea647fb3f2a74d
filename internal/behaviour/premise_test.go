package behaviour_test

import (
	"io"
	"testing"
	"time"
)

// TestPremises checks the assumption of the other tests about the system: it keeps the
// bytes of a peer, though the peer has closed and our writes fail.
func TestPremises(t *testing.T) {
	for _, tr := range transports {
		for _, d := range departures {
			t.Run(tr+"/"+d.name, func(t *testing.T) {
				s := rig{onDial, tr}.start(t, calm(), program{}) // for its listener
				accepted := do(func() *peer {
					nc, err := s.ln.Accept()
					if err != nil {
						t.Error(err)
						return nil
					}
					p := &peer{t: t, nc: nc, raw: nc}
					p.next()
					return p
				})
				p, err := dialPeer(t, &s.dialer, s.ln.Addr(), tr == "tls")
				if err != nil {
					t.Fatal(err)
				}
				p.send(text("hello"))
				ours := wait(t, "Accept", accepted)
				defer ours.nc.Close()
				const n = 100
				_, frames := numbered("message ", n)
				p.send(frames...)
				d.leave(p)
				until(t, "writing fails", func() bool {
					_, err := ours.nc.Write(text("tick").encode(nil, false))
					return err != nil
				})
				for i := range n {
					f, err := ours.next()
					if err != nil || f.payload != frames[i].payload {
						t.Fatalf("message %d: %v, %v", i, f, err)
					}
					time.Sleep(10 * time.Microsecond)
					ours.nc.Write(text("tick").encode(nil, false)) // fails
				}
				if _, err := ours.next(); err == nil || err == io.ErrNoProgress {
					t.Errorf("behind the last message: %v", err)
				}
			})
		}
	}
}
