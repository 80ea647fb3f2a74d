// Package dial gets a client the connection that it speaks WebSocket on. It takes the
// URL apart, sends the request of the handshake by an [http.Client], through proxies,
// TLS and redirects, and takes the connection over from net/http when the server has
// agreed. It knows neither the headers of the handshake nor frames.
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
	// refusalBodyTime bounds the wait for that body. The server has said no
	// already, and a body may well be an endless stream of events.
	refusalBodyTime = time.Second
)

// Config is how to make an [Exchange].
type Config struct {
	Header  http.Header   // the user's, under names in any spelling, maybe with a Host
	Client  *http.Client  // nil stands for [http.DefaultClient]
	Timeout time.Duration // of all; 0 or less is no bound, other than the client's own

	// Sign sets the headers of the handshake, anew for each request of a chain of
	// redirects.
	Sign func(http.Header)

	// Wrap returns what is put between TLS and its connection, and Unwrap the
	// connection in that. For any other connection Unwrap returns its argument.
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

	deadline *deadline
	trip     roundTripper

	redirectErr error // why a redirect was not followed
	taken       bool  // the connection has a new owner
}

// New checks what can be wrong before a network is involved. The time begins.
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
	if x.trip, err = newRoundTripper(x.deadline.ctx, x.client.Transport, target, cfg); err != nil {
		x.deadline.end()
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return x, nil
}

// setHeader takes over the user's headers.
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

// Foreign returns the user's RoundTripper if that makes the connections, nil if they
// are made here.
func (x *Exchange) Foreign() http.RoundTripper {
	if x.trip.own != nil {
		return nil
	}
	return x.trip.base
}

// Do sends the request and returns the last response of the chain. The error is why
// there is none; where that has to be explained it is a [*Refusal].
func (x *Exchange) Do() (*http.Response, error) {
	u := *x.target.url // CheckRedirect gets to see the request, and may change it
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
	client.Timeout = 0 // the deadline keeps the time, and lets the connection live on
	client.CheckRedirect = x.redirect
	client.Transport = &x.trip
	resp, err := client.Do(req)
	if err != nil {
		return nil, x.failed(err)
	}
	// The request as it was sent, but not the machinery around it: the context of
	// the exchange, and the response that led here by a redirect, which holds a
	// dead connection's buffers.
	resp.Request = x.trip.last.request.WithContext(x.deadline.values)
	resp.Request.Response = nil
	return resp, nil
}

// Refused reads the body of a response that is no 101, within limits of size and
// time, leaves it in the response, and closes the connection that it came from. The
// error is why a redirect was not followed, or nil if this was none.
func (x *Exchange) Refused(resp *http.Response) (body []byte, err error) {
	timer := time.AfterFunc(refusalBodyTime, x.deadline.end)
	defer timer.Stop()
	body, _ = io.ReadAll(io.LimitReader(resp.Body, maxRefusalBody)) // whatever came is of use
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body, x.redirectErr
}

// TakeOver makes the connection of a 101 response the caller's, together with what
// has been read of it ahead. The context and the time have no hold on it any more.
func (x *Exchange) TakeOver(resp *http.Response) (nc net.Conn, early []byte, err error) {
	nc, early, err = x.trip.takeOver(resp)
	if err != nil {
		resp.Body.Close()
		return nil, nil, x.failed(err)
	}
	resp.Body = http.NoBody
	if !x.deadline.release() {
		nc.Close()
		return nil, nil, x.failed(nil)
	}
	x.taken = true
	return nc, early, nil
}

// End closes everything that the exchange has opened and not closed yet, but for the
// connection that was taken over.
func (x *Exchange) End() {
	if !x.taken {
		x.deadline.end()
	}
	if x.trip.own != nil {
		x.trip.own.finish(x.taken)
	}
}

// failed returns the error for what went wrong on the way. If the time was up that is
// the error: what the network made of it is no news.
func (x *Exchange) failed(err error) error {
	if ue, ok := err.(*url.Error); ok {
		err = ue.Err // the URL in it may hold a user and, in its query, a token
	}
	cause := context.Cause(x.deadline.ctx)
	switch {
	case cause != nil && !errors.Is(err, cause):
		return cause
	case cause == nil && x.trip.last != nil:
		return x.trip.last.explain(err)
	}
	return err
}
