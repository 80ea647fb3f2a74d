package wstest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// HTTPProxy serves one connection of an HTTP proxy: it answers CONNECT
// with answer and, if that is a 200, connects to the address that hosts has
// for the target.
func HTTPProxy(requests chan<- *http.Request, answer string, hosts map[string]string) func(*Peer) {
	return func(p *Peer) {
		req := p.Request()
		if req == nil {
			return
		}
		select {
		case requests <- req:
		default: // nobody looks at so many
		}
		if req.Method != http.MethodConnect {
			io.WriteString(p, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(p, answer)
		if strings.HasPrefix(answer, "HTTP/1.1 20") || strings.HasPrefix(answer, "HTTP/1.1 1") {
			p.Splice(hosts[req.Host])
		}
	}
}

// Splice connects the client to addr.
func (p *Peer) Splice(addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer nc.Close()
	go func() {
		io.Copy(p.Conn, nc)
		p.Conn.Close()
	}()
	io.Copy(nc, p.R)
}

const Connected = "HTTP/1.1 200 Connection established\r\n\r\n"

// SOCKS serves one connection of a SOCKS5 proxy (RFC 1928) that wants
// a user and a password (RFC 1929).
func SOCKS(targets chan<- string, hosts map[string]string) func(*Peer) {
	return func(p *Peer) {
		read := func(n int) []byte {
			b := make([]byte, n)
			io.ReadFull(p.R, b)
			return b
		}
		methods := read(int(read(2)[1]))
		if !bytes.Contains(methods, []byte{2}) {
			p.Write([]byte{5, 0xff})
			return
		}
		p.Write([]byte{5, 2})
		user := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(user) != "me" || string(password) != "secret" {
			p.Write([]byte{1, 1})
			return
		}
		p.Write([]byte{1, 0})
		if head := read(4); head[1] != 1 || head[3] != 3 {
			return // neither CONNECT nor a name
		}
		host := string(read(int(read(1)[0])))
		target := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2)))))
		targets <- target
		p.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
		p.Splice(hosts[target])
	}
}

// ProxyURL returns a Transport.Proxy.
func ProxyURL(t testing.TB, proxy string) func(*http.Request) (*url.URL, error) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return http.ProxyURL(u)
}
