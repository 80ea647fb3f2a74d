//go:build linux

package load

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// handshakes makes connections, Conns at a time, and resets each as soon as its
// handshake has been answered.
func (r *runner) handshakes() error {
	// Some responses are read and checked completely beforehand.
	if err := r.open(min(r.Conns, 16)); err != nil {
		return err
	}
	r.closeConns()

	request := r.request()
	slots := make([]*conn, r.Conns)
	r.conns = slots // they are closed with the job
	for i := range slots {
		slots[i] = &conn{fd: -1}
	}
	for i := range slots {
		if err := r.redial(i, request); err != nil {
			return err
		}
	}
	buf := r.buffer()[:4096]
	var (
		wire int64
		made float64
	)
	last := r.now() // time of an event
	w := r.newMeasurement()
	for !w.over {
		events, err := r.poll.wait(10 * time.Millisecond)
		if err != nil {
			return err
		}
		now := r.now()
		if w.due(now) {
			if err := w.step(made, wire); err != nil {
				return err
			}
		}
		if len(events) == 0 {
			if now-last > r.Timeout {
				return fmt.Errorf("no handshake is answered for %v", r.Timeout)
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
			continue
		}
		last = now
		for i := range events {
			slot := int(events[i].Fd)
			c := slots[slot]
			n, err := recv(c.fd, buf, 0)
			if err != nil {
				return fmt.Errorf("handshake: %w", err)
			}
			if n == again {
				continue
			}
			if c.got == 0 && !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("the handshake was answered with %.40q", buf[:n])
			}
			c.got += int64(n)
			wire += int64(n)
			if !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				continue
			}
			made++
			r.lat.add(r.now() - c.since)
			c.close()
			if err := r.redial(slot, request); err != nil {
				return err
			}
		}
	}
	return w.close()
}

// redial starts a handshake in the slot.
func (r *runner) redial(slot int, request []byte) error {
	c := r.conns[slot]
	c.got, c.since = 0, r.now()
	var err error
	if c.fd, err = connect(r.addr); err != nil {
		return err
	}
	if n, err := send(c.fd, request); err != nil || n != len(request) {
		return fmt.Errorf("request not sent: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(slot)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.poll.fd, unix.EPOLL_CTL_ADD, c.fd, &ev))
}
