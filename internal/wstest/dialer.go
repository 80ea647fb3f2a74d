package wstest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Dialer is a dialer that remembers its connections, and finds the
// hosts that a test makes up.
type Dialer struct {
	Hosts map[string]string // host:port to the address to dial

	mu    sync.Mutex
	Conns []net.Conn
	Addrs []string
}

func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.Addrs = append(d.Addrs, addr)
	d.mu.Unlock()
	if real, ok := d.Hosts[addr]; ok {
		addr = real
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		d.mu.Lock()
		d.Conns = append(d.Conns, nc)
		d.mu.Unlock()
	}
	return nc, err
}

// Open returns how many of the connections are not closed.
func (d *Dialer) Open() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, nc := range d.Conns {
		if !errors.Is(nc.SetDeadline(time.Time{}), net.ErrClosed) {
			n++
		}
	}
	return n
}

// Transport trusts the test's certificates, and dials with d if that
// is not nil.
func Transport(d *Dialer) *http.Transport {
	_, cfg := TLS()
	tr := &http.Transport{TLSClientConfig: cfg.Clone()}
	if d != nil {
		tr.DialContext = d.DialContext
	}
	return tr
}
