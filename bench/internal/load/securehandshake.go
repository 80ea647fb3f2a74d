//go:build linux

package load

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// secureHandshakes is handshakes over TLS: connect, TLS handshake, upgrade, reset. A
// goroutine makes them one after the other, as crypto/tls cannot pause in the middle
// of one.
func (r *runner) secureHandshakes() error {
	// Some responses are read and checked completely beforehand.
	if err := r.open(min(r.Conns, 16)); err != nil {
		return err
	}
	r.closeConns()

	var (
		mu      sync.Mutex // guards what follows, and r.lat
		made    float64
		failure error
		over    bool
		all     sync.WaitGroup
	)
	request := r.request()
	for range r.Conns {
		all.Go(func() {
			for {
				took, err := r.secureHandshake(request)
				mu.Lock()
				if err != nil {
					failure = errors.Join(failure, err)
				} else {
					made++
					r.lat.add(took)
				}
				stop := over || err != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	w := r.newMeasurement()
	for !w.over {
		time.Sleep(time.Millisecond)
		err := r.ctx.Err()
		mu.Lock()
		if err == nil {
			err = failure
		}
		if err == nil && w.due(r.now()) {
			err = w.step(made, 0)
		}
		over = w.over || err != nil
		mu.Unlock()
		if err != nil {
			all.Wait()
			return err
		}
	}
	all.Wait() // a handshake that is cut off would be an error on the server's standard error
	return w.close()
}

// secureHandshake makes one handshake and returns how long it took.
func (r *runner) secureHandshake(request []byte) (time.Duration, error) {
	began := r.now()
	nc, err := net.DialTimeout("tcp", r.Addr, r.Timeout)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	if err := errors.Join(nc.(*net.TCPConn).SetLinger(0), nc.SetDeadline(time.Now().Add(r.Timeout))); err != nil {
		return 0, err
	}
	c := tls.Client(nc, tlsConfig)
	if _, err := c.Write(request); err != nil {
		return 0, fmt.Errorf("TLS handshake: %w", err)
	}
	var response []byte
	for !bytes.HasSuffix(response, []byte("\r\n\r\n")) {
		var buf [1024]byte
		n, err := c.Read(buf[:])
		if err != nil {
			return 0, fmt.Errorf("handshake: %w", err)
		}
		response = append(response, buf[:n]...)
	}
	if !bytes.HasPrefix(response, []byte("HTTP/1.1 101 ")) {
		return 0, fmt.Errorf("the handshake was answered with %.40q", response)
	}
	return r.now() - began, nil
}
