package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
)

// dialTunnel connects to target, a host:port, through an HTTP proxy.
func (t *dialTransport) dialTunnel(ctx context.Context, proxy *url.URL, target string) (net.Conn, error) {
	nc, err := t.dialProxy(ctx, proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", proxy.Host, err)
	}
	detach := context.AfterFunc(ctx, func() { nc.Close() }) // nothing else unblocks just any net.Conn
	tunnel, err := t.openTunnel(ctx, nc, proxy, target)
	if !detach() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tunnel, nil
}

// dialProxy makes the connection to the proxy itself, the way that net/http
// would.
func (t *dialTransport) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	addr := dialAddr(proxy)
	if proxy.Scheme != "https" {
		return t.dial(ctx, "tcp", addr)
	}
	if t.dialTLS != nil {
		return t.dialTLS(ctx, "tcp", addr)
	}
	nc, err := t.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	cfg := t.http.TLSClientConfig.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = proxy.Hostname()
	}
	cfg.NextProtos = nil // a proxy that were offered h2 might take it
	if d := t.http.TLSHandshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	tc := tls.Client(nc, cfg)
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err = tc.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tc.ConnectionState(), err)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return tc, nil
}

// openTunnel sends CONNECT over nc and returns the tunnel, which begins with
// the first byte behind the proxy's answer. It leaves closing nc to the
// caller.
func (t *dialTransport) openTunnel(ctx context.Context, nc net.Conn, proxy *url.URL, target string) (net.Conn, error) {
	header := t.http.ProxyConnectHeader
	if get := t.http.GetProxyConnectHeader; get != nil {
		var err error
		if header, err = get(ctx, proxy, target); err != nil {
			return nil, err
		}
	}
	if header = header.Clone(); header == nil {
		header = make(http.Header)
	}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: header}
	if err := req.Write(nc); err != nil {
		return nil, fmt.Errorf("proxy %s: sending CONNECT: %w", proxy.Host, err)
	}

	limited := &io.LimitedReader{R: nc, N: t.http.MaxResponseHeaderBytes}
	br := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(br, req)
		switch {
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("proxy %s: answer to CONNECT exceeds %d bytes", proxy.Host, t.http.MaxResponseHeaderBytes)
		case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("proxy %s: connection ended before the answer to CONNECT: %w", proxy.Host, io.ErrUnexpectedEOF)
		case err != nil:
			return nil, fmt.Errorf("proxy %s: answer to CONNECT: %w", proxy.Host, err)
		case resp.StatusCode/100 == 1: // an interim response
			continue
		}
		if err := t.http.OnProxyConnectResponse(ctx, proxy, req, resp); err != nil {
			return nil, err
		}
		break
	}
	// An answer of 2xx has no content, whatever its headers say (RFC 9110,
	// section 9.3.6): the rest is the server's.
	if n := br.Buffered(); n > 0 {
		rest, _ := br.Peek(n)
		return &replayConn{Conn: nc, r: io.MultiReader(bytes.NewReader(bytes.Clone(rest)), nc)}, nil
	}
	return nc, nil
}

// checkProxyAnswer returns an OnProxyConnectResponse that refuses what is not
// a tunnel, in words that tell the proxy's refusal from the server's. The
// user's own function goes first.
func checkProxyAnswer(user func(context.Context, *url.URL, *http.Request, *http.Response) error) func(context.Context, *url.URL, *http.Request, *http.Response) error {
	return func(ctx context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
		if user != nil {
			if err := user(ctx, proxy, req, resp); err != nil {
				return err
			}
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("proxy %s refused CONNECT to %s: %s", proxy.Host, req.Host, printable(resp.Status))
		}
		return nil
	}
}
