package chat

import (
	"net/http"
	"net/netip"
	"sync"
)

// door counts the connections, in all and of each address, so that no address can
// take all the room. It is checked before the handshake: a refused connection costs
// an HTTP response.
type door struct {
	all, each int // limits

	mu   sync.Mutex // guards the fields below
	n    int
	from map[netip.Prefix]int // connections by address; none is 0
}

func newDoor(all, each int) *door {
	return &door{all: all, each: each, from: make(map[netip.Prefix]int)}
}

// enter counts a connection from an address and returns 0, and the caller calls leave
// at its end. If there is no room it returns the HTTP status of the refusal.
func (d *door) enter(from netip.Prefix) (refusal int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.n >= d.all:
		return http.StatusServiceUnavailable
	case d.from[from] >= d.each:
		return http.StatusTooManyRequests
	}
	d.n++
	d.from[from]++
	return 0
}

func (d *door) leave(from netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n--
	if d.from[from]--; d.from[from] == 0 {
		delete(d.from, from)
	}
}

// guard returns a handler that lets a request through to next while there is
// room. next serves a connection to its end.
func (d *door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := household(r.RemoteAddr)
		if status := d.enter(from); status != 0 {
			w.Header().Set("Retry-After", "10") // seconds
			http.Error(w, "There are too many connections.", status)
			return
		}
		defer d.leave(from)
		next.ServeHTTP(w, r)
	})
}

// household returns the prefix that counts as one address: with IPv6 the network,
// since a visitor may use any number of addresses in it. All unknown addresses count
// as one.
func household(remote string) netip.Prefix {
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
