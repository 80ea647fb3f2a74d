package dial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/fullduplex-go/websocket/internal/quote"
)

// dialTunnel connects to target, a host:port, through a proxy.
func (t *transport) dialTunnel(ctx context.Context, proxy *url.URL, target string) (net.Conn, error) {
	nc, err := t.dialProxy(ctx, proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", proxy.Host, err)
	}
	detach := context.AfterFunc(ctx, func() { nc.Close() }) // only Close unblocks every net.Conn
	tunnel := nc
	if strings.HasPrefix(proxy.Scheme, "socks5") {
		err = openSOCKS(nc, proxy, target)
	} else {
		tunnel, err = t.openTunnel(ctx, nc, proxy, target)
	}
	if !detach() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tunnel, nil
}

// dialProxy connects to the proxy itself, as net/http would.
func (t *transport) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	addr := hostPort(proxy)
	switch {
	case proxy.Scheme != "https":
		return t.dial(ctx, "tcp", addr)
	case t.dialTLS != nil:
		return t.dialTLS(ctx, "tcp", addr)
	}
	nc, err := t.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	cfg := t.tlsConfig(addr)
	cfg.NextProtos = nil // a proxy might choose h2 if it were offered
	return t.startTLS(ctx, nc, cfg)
}

// openTunnel sends CONNECT over nc and returns the tunnel, which begins with the
// first byte after the proxy's answer. It leaves closing nc to the caller.
func (t *transport) openTunnel(ctx context.Context, nc net.Conn, proxy *url.URL, target string) (net.Conn, error) {
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
			e := noAnswer("proxy "+proxy.Host+" closed the connection without an answer to CONNECT", io.ErrUnexpectedEOF)
			e.Proxy = proxy.Host
			return nil, e
		case err != nil:
			return nil, fmt.Errorf("proxy %s: answer to CONNECT: %w", proxy.Host, err)
		case resp.StatusCode/100 == 1: // an interim response
			continue
		}
		if err := t.checkProxyAnswer(ctx, proxy, req, resp); err != nil {
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

// checkProxyAnswer returns an error for an answer that opens no tunnel. The error
// names the proxy, to tell it from a refusal of the server. The user's own function
// is called first.
func (t *transport) checkProxyAnswer(ctx context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	if check := t.http.OnProxyConnectResponse; check != nil {
		if err := check(ctx, proxy, req, resp); err != nil {
			return err
		}
	}
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text := fmt.Sprintf("proxy %s refused CONNECT to %s: %s", proxy.Host, req.Host, quote.Line(resp.Status))
	e := &Refusal{Text: text, Status: resp.StatusCode, Reason: proxyAdvice(req, resp), Proxy: proxy.Host}
	if e.Reason != "" {
		e.Text += ": " + e.Reason
	} else {
		e.Reason = http.StatusText(e.Status)
	}
	return e
}

// proxyAdvice explains the status of a proxy that refuses CONNECT, or returns "".
func proxyAdvice(req *http.Request, resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusProxyAuthRequired:
		advice := "the proxy wants a user and a password, which belong into its URL"
		if req.Header.Get("Proxy-Authorization") != "" {
			advice = "the proxy does not accept the Proxy-Authorization that was sent"
		}
		if wants := resp.Header.Values("Proxy-Authenticate"); len(wants) > 0 {
			advice += "; it knows " + quote.Line(strings.Join(wants, ", "))
		}
		return advice
	case http.StatusForbidden:
		return "the proxy's rules do not allow this host or port"
	}
	return ""
}
