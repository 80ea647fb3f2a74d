package websocket

import "net"

// Listener returns ln with connections that a loop can watch under TLS: put it
// under [crypto/tls.NewListener] or [net/http.Server.ServeTLS]. Without TLS
// there is no need for it.
func (l *Loop) Listener(ln net.Listener) net.Listener { return pollableListener{ln} }

type pollableListener struct{ net.Listener }

func (l pollableListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newPollable(nc), nil
}
