// Package dial makes the connection of a WebSocket client. It parses the URL, sends
// the request of the handshake by an [http.Client], through proxies, TLS and
// redirects, and takes the connection over from net/http when the server has agreed.
// It knows neither the headers of the handshake nor frames.
package dial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"time"
)

const (
	// maxRefusalBody is how much of a refusal's body is read, in bytes.
	maxRefusalBody = 4 << 10
	// refusalBodyTime bounds the wait for that body. The server has refused
	// already, and the body may be an endless stream of events.
	refusalBodyTime = time.Second
)

// Config holds the settings of an [Exchange].
type Config struct {
	Header  http.Header   // the user's, under names in any spelling, maybe with a Host
	Client  *http.Client  // nil means [http.DefaultClient]
	Timeout time.Duration // of the whole exchange; 0 or less means only the client's own

	// Sign sets the headers of the handshake, anew for each request of a chain of
	// redirects.
	Sign func(http.Header)

	// Wrap wraps a connection before TLS runs on it, and Unwrap returns the
	// connection in such a wrapper. For any other connection Unwrap returns its
	// argument.
	Wrap, Unwrap func(net.Conn) net.Conn
}

// Exchange is one request and its answer, redirects included. It is for one
// goroutine, which calls Do, then Refused or TakeOver, and at last End. Its errors
// show neither user, password nor query of the URL.
type Exchange struct {
	target Target
	header http.Header // the user's, with canonical names and without Host; trip.spelling has the others
	host   string      // the Host header
	client *http.Client
	sign   func(http.Header)

	deadline  *deadline
	transport roundTripper

	redirectErr error // why a redirect was not followed
	takenOver   bool  // the connection has a new owner
}

// New checks everything that can be checked without a network, and starts the
// timeout.
func New(ctx context.Context, target Target, cfg Config) (*Exchange, error) {
	x := &Exchange{
		target: target,
		header: make(http.Header),
		client: cfg.Client,
		sign:   cfg.Sign,
	}
	if err := x.setHeader(cfg.Header); err != nil {
		return nil, err
	}
	if x.client == nil {
		x.client = http.DefaultClient
	}
	timeout := cfg.Timeout
	if t := x.client.Timeout; t > 0 && (timeout <= 0 || t < timeout) {
		timeout = t
	}
	x.deadline = startDeadline(ctx, timeout)
	var err error
	if x.transport, err = newRoundTripper(x.deadline.ctx, x.client.Transport, target, cfg); err != nil {
		x.deadline.end()
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return x, nil
}

// setHeader copies the user's headers.
func (x *Exchange) setHeader(h http.Header) error {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		values := h[name]
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name != "Host" {
			x.header[name] = append(x.header[name], values...)
			continue
		}
		if len(values) != 1 || values[0] == "" || x.host != "" {
			return errors.New("header Host must have one value")
		}
		x.host = values[0]
		if err := checkHost(x.host); err != nil {
			return err
		}
	}
	if x.host == "" {
		x.host = x.target.url.Host
	}
	return nil
}

// Foreign returns the user's RoundTripper if it makes the connections, nil if this
// package makes them.
func (x *Exchange) Foreign() http.RoundTripper {
	if x.transport.clone != nil {
		return nil
	}
	return x.transport.base
}

// Do sends the request and returns the last response of the chain. An error that
// needs an explanation is a [*Refusal].
func (x *Exchange) Do() (*http.Response, error) {
	u := *x.target.url // CheckRedirect may change the request
	req := (&http.Request{
		Method:     http.MethodGet,
		URL:        &u,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     x.header,
		Host:       x.host,
	}).WithContext(x.deadline.ctx)
	x.sign(req.Header)
	if x.deadline.ctx.Err() != nil {
		return nil, x.failed(nil)
	}

	client := *x.client
	client.Timeout = 0 // deadline applies it instead, and does not end the connection
	client.CheckRedirect = x.redirect
	client.Transport = &x.transport
	resp, err := client.Do(req)
	if err != nil {
		return nil, x.failed(err)
	}
	// Show the request as it was sent, without the context of the exchange and
	// without the response that redirected here, which holds a dead connection's
	// buffers.
	resp.Request = x.transport.last.request.WithContext(x.deadline.values)
	resp.Request.Response = nil
	return resp, nil
}

// Refused reads the body of a response that is not a 101, within limits of size and
// time, puts the body back into the response, and closes its connection. The error
// says why a redirect was not followed; it is nil for any other response.
func (x *Exchange) Refused(resp *http.Response) (body []byte, err error) {
	timer := time.AfterFunc(refusalBodyTime, x.deadline.end)
	defer timer.Stop()
	body, _ = io.ReadAll(io.LimitReader(resp.Body, maxRefusalBody)) // a part is of use, too
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body, x.redirectErr
}

// TakeOver gives the connection of a 101 response to the caller, together with the
// bytes that have been read ahead. The context and the timeout no longer apply to
// the connection.
func (x *Exchange) TakeOver(resp *http.Response) (nc net.Conn, early []byte, err error) {
	nc, early, err = x.transport.takeOver(resp)
	if err != nil {
		resp.Body.Close()
		return nil, nil, x.failed(err)
	}
	resp.Body = http.NoBody
	if !x.deadline.release() {
		nc.Close()
		return nil, nil, x.failed(nil)
	}
	x.takenOver = true
	return nc, early, nil
}

// End closes everything that the exchange has opened and not closed yet, but for the
// connection that was taken over.
func (x *Exchange) End() {
	if !x.takenOver {
		x.deadline.end()
	}
	if x.transport.clone != nil {
		x.transport.clone.finish(x.takenOver)
	}
}

// failed returns the error for a failed exchange. If the time was up, it is that
// error, which is the cause of the network's error.
func (x *Exchange) failed(err error) error {
	if ue, ok := err.(*url.Error); ok {
		err = ue.Err // the URL in it may hold a user and, in its query, a token
	}
	cause := context.Cause(x.deadline.ctx)
	switch {
	case cause != nil && !errors.Is(err, cause):
		return cause
	case cause == nil && x.transport.last != nil:
		return x.transport.last.explain(err)
	}
	return err
}
