package websocket

import (
	"net"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// Listener returns a listener for ln whose connections a loop can watch under TLS:
// pass it to [crypto/tls.NewListener] or [net/http.Server.ServeTLS]. Without TLS it
// is not needed.
func (l *Loop) Listener(ln net.Listener) net.Listener { return pollableListener{ln} }

type pollableListener struct{ net.Listener }

func (l pollableListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return transport.NewPollable(nc), nil
}
