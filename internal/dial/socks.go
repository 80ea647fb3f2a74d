package dial

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/fullduplex-go/websocket/internal/retry"
)

// Values of SOCKS5 (RFC 1928 and, for user and password, RFC 1929).
const (
	socksVersion      = 5
	socksNoAuth       = 0
	socksPassword     = 2
	socksConnect      = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	socksPasswordVers = 1
)

// socksReplies are the texts of RFC 1928, section 6.
var socksReplies = [...]string{
	1: "general SOCKS server failure",
	2: "connection not allowed by ruleset",
	3: "network unreachable",
	4: "host unreachable",
	5: "connection refused",
	6: "TTL expired",
	7: "command not supported",
	8: "address type not supported",
}

// openSOCKS asks the SOCKS5 proxy behind nc for a tunnel to target, a
// host:port. The proxy resolves names. openSOCKS reads nothing beyond the proxy's
// answers, and leaves closing nc to the caller.
func openSOCKS(nc net.Conn, proxy *url.URL, target string) error {
	err := socksGreet(nc, proxy.User)
	if err == nil {
		err = socksRequest(nc, target)
	}
	switch {
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil:
		return fmt.Errorf("proxy %s: SOCKS5: %w", proxy.Host, err)
	}
	return nil
}

// socksGreet negotiates the authentication method, and authenticates.
func socksGreet(nc net.Conn, user *url.Userinfo) error {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if user != nil {
		hello = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	answer, err := socksExchange(nc, hello, 2)
	switch {
	case err != nil:
		return err
	case answer[0] != socksVersion:
		return fmt.Errorf("it answers with version %d", answer[0])
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] != socksPassword && user == nil:
		return errors.New("it wants the client to authenticate; user and password belong into its URL")
	case answer[1] != socksPassword || user == nil:
		return errors.New("it knows no common way to authenticate")
	}
	password, _ := user.Password()
	name := user.Username()
	if name == "" || len(name) > 255 || len(password) > 255 {
		return errors.New("user and password have 1 to 255 bytes")
	}
	login := append([]byte{socksPasswordVers, byte(len(name))}, name...)
	login = append(append(login, byte(len(password))), password...)
	if answer, err = socksExchange(nc, login, 2); err == nil && answer[1] != 0 {
		err = errors.New("it does not accept user and password")
	}
	return err
}

// socksRequest asks for the connection to target.
func socksRequest(nc net.Conn, target string) error {
	host, portText, err := net.SplitHostPort(target)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return err
	}
	req := []byte{socksVersion, socksConnect, 0}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is4():
		req = append(append(req, socksIPv4), ip.AsSlice()...)
	case err == nil:
		req = append(append(req, socksIPv6), ip.WithZone("").AsSlice()...)
	case len(host) > 255:
		return errors.New("a host's name has at most 255 bytes")
	default:
		req = append(append(req, socksName, byte(len(host))), host...)
	}
	// The answer has an address of one of three kinds. It has at least 5 bytes;
	// the fifth is the length of a name, if the address is one.
	answer, err := socksExchange(nc, append(req, byte(port>>8), byte(port)), 5)
	if err != nil {
		return err
	}
	if code := int(answer[1]); code != 0 {
		if code < len(socksReplies) {
			return fmt.Errorf("it cannot connect to %s: %s", target, socksReplies[code])
		}
		return fmt.Errorf("it cannot connect to %s: code %d", target, code)
	}
	var rest int // of the address, and the port
	switch answer[3] {
	case socksIPv4:
		rest = 4 - 1 + 2
	case socksIPv6:
		rest = 16 - 1 + 2
	case socksName:
		rest = int(answer[4]) + 2
	default:
		return fmt.Errorf("it answers with an address of type %d", answer[3])
	}
	_, err = io.ReadFull(retry.Reader{Reader: nc}, make([]byte, rest))
	return err
}

// socksExchange writes b and reads the first n bytes of the answer.
func socksExchange(nc net.Conn, b []byte, n int) ([]byte, error) {
	if _, err := nc.Write(b); err != nil {
		return nil, err
	}
	answer := make([]byte, n)
	_, err := io.ReadFull(retry.Reader{Reader: nc}, answer)
	return answer, err
}
