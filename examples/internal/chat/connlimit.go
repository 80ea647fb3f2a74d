package chat

import (
	"net/http"
	"net/netip"
	"sync"
)

// connLimit limits the connections, in all and of each address. It is checked before
// the handshake, so a refused connection costs an HTTP response.
type connLimit struct {
	total, perAddress int // limits

	mu        sync.Mutex // guards the fields below
	n         int
	byAddress map[netip.Prefix]int // connections by address; none is 0
}

func newConnLimit(all, each int) *connLimit {
	return &connLimit{total: all, perAddress: each, byAddress: make(map[netip.Prefix]int)}
}

// acquire counts a connection from an address and returns 0. The caller calls release
// at its end. Above a limit acquire returns the HTTP status of the refusal.
func (d *connLimit) acquire(from netip.Prefix) (refusal int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.n >= d.total:
		return http.StatusServiceUnavailable
	case d.byAddress[from] >= d.perAddress:
		return http.StatusTooManyRequests
	}
	d.n++
	d.byAddress[from]++
	return 0
}

func (d *connLimit) release(from netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n--
	if d.byAddress[from]--; d.byAddress[from] == 0 {
		delete(d.byAddress, from)
	}
}

// handler returns a handler that calls next while the limits allow it. next serves a
// connection to its end.
func (d *connLimit) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := addressPrefix(r.RemoteAddr)
		if status := d.acquire(from); status != 0 {
			w.Header().Set("Retry-After", "10") // seconds
			http.Error(w, "There are too many connections.", status)
			return
		}
		defer d.release(from)
		next.ServeHTTP(w, r)
	})
}

// addressPrefix returns the prefix that counts as one address. With IPv6 it is the
// network, since a visitor may use any number of addresses in it. All unknown
// addresses count as one.
func addressPrefix(remote string) netip.Prefix {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := addr.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // unreachable: an address has as many bits
	}
	return p
}
