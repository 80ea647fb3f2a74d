package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"slices"
	"strings"
)

// startServerTLS starts TLS with the server at addr, over nc. It closes nc on an error.
func (t *transport) startServerTLS(ctx context.Context, nc net.Conn, addr string) (net.Conn, error) {
	cfg := t.tlsConfig(addr)
	// The names of HTTP/2 and HTTP/3 are for other requests of the user, or are
	// net/http's default.
	cfg.NextProtos = slices.DeleteFunc(slices.Clone(cfg.NextProtos), lacksHTTP1)
	return t.startTLS(ctx, nc, cfg)
}

// lacksHTTP1 reports whether an ALPN protocol has no HTTP/1.1 handshake.
func lacksHTTP1(proto string) bool { return proto == "h2" || strings.HasPrefix(proto, "h3") }

// tlsConfig is a copy of the user's configuration, for the host of addr.
func (t *transport) tlsConfig(addr string) *tls.Config {
	cfg := t.http.TLSClientConfig.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(addr) // which hostPort or net/http has joined
	}
	return cfg
}

// startTLS does the TLS handshake as net/http would.
func (t *transport) startTLS(ctx context.Context, nc net.Conn, cfg *tls.Config) (net.Conn, error) {
	if d := t.http.TLSHandshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("it took longer than %v: %w", d, context.DeadlineExceeded))
		defer cancel()
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	tc := tls.Client(t.wrap(nc), cfg)
	err := tc.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tc.ConnectionState(), err)
	}
	if err == nil {
		return tc, nil
	}
	nc.Close()
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	if e := (tls.RecordHeaderError{}); errors.As(err, &e) && string(e.RecordHeader[:]) == "HTTP/" {
		err = fmt.Errorf("%w; without TLS the URL begins with ws", http.ErrSchemeMismatch)
	}
	return nil, fmt.Errorf("TLS handshake: %w", err)
}

// dialUserTLS calls the user's DialTLSContext, and does the TLS handshake if the
// user's function has not, in order to see which protocol was negotiated. If the
// connection does not tell, the server's first bytes decide.
func (t *transport) dialUserTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := t.dialTLS(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if c, ok := nc.(interface{ HandshakeContext(context.Context) error }); ok {
		if err := c.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
	}
	if p := negotiatedProtocol(nc); lacksHTTP1(p) {
		nc.Close()
		return nil, noAnswer(fmt.Sprintf("DialTLSContext agreed with the server on %q, a WebSocket handshake needs HTTP/1.1; it must offer http/1.1 only", p), nil)
	}
	return nc, nil
}

// negotiatedProtocol returns the protocol that ALPN has chosen on nc, "" if nc does not
// tell. Packages such as uTLS have a ConnectionState of their own.
func negotiatedProtocol(nc net.Conn) string {
	if c, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return c.ConnectionState().NegotiatedProtocol
	}
	m := reflect.ValueOf(nc).MethodByName("ConnectionState")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 || m.Type().Out(0).Kind() != reflect.Struct {
		return ""
	}
	if p := m.Call(nil)[0].FieldByName("NegotiatedProtocol"); p.IsValid() && p.Kind() == reflect.String {
		return p.String()
	}
	return ""
}

// tlsState returns the TLS state of nc, the zero value if nc does not tell.
func tlsState(nc net.Conn) (s tls.ConnectionState) {
	if c, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		s = c.ConnectionState()
	}
	return s
}
