package dial

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// serve answers one request on loopback by f, and returns the URL and the request.
func serve(t *testing.T, f func(net.Conn)) (url string, request <-chan *http.Request) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	requests := make(chan *http.Request, 1)
	go func() {
		defer close(requests)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		if req, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
			requests <- req
			f(nc)
		}
	}()
	return "ws://" + ln.Addr().String() + "/x?y", requests
}

// start makes an exchange for url that signs its requests with the header Signed.
func start(t *testing.T, ctx context.Context, url string, header http.Header) *Exchange {
	t.Helper()
	target, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	same := func(nc net.Conn) net.Conn { return nc }
	x, err := New(ctx, target, Config{
		Header: header, Client: &http.Client{Transport: new(http.Transport)},
		Sign: func(h http.Header) { h.Set("Signed", "yes") }, Wrap: same, Unwrap: same,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.End)
	return x
}

// TestTakeOver: the connection is the caller's, with all bytes behind the response,
// and outlives the context and the exchange.
func TestTakeOver(t *testing.T) {
	url, requests := serve(t, func(nc net.Conn) {
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: close, Upgrade\r\n\r\nearly")
		io.Copy(nc, nc)
	})
	ctx, cancel := context.WithCancel(t.Context())
	x := start(t, ctx, url, http.Header{"host": {"example.com"}, "x-own": {"a"}})
	resp, err := x.Do()
	if err != nil || resp.StatusCode != 101 || x.Foreign() != nil {
		t.Fatalf("got %v, %v, foreign %v", resp, err, x.Foreign())
	}
	if r := <-requests; r.Host != "example.com" || r.Header.Get("Signed") != "yes" || r.Header.Get("X-Own") != "a" || r.RequestURI != "/x?y" {
		t.Errorf("the server got %+v", r)
	}
	if resp.Header.Get("Connection") != "Upgrade" || resp.Request.Header.Get("Signed") != "yes" {
		t.Errorf("got %+v to %+v", resp.Header, resp.Request.Header)
	}
	nc, early, err := x.TakeOver(resp)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	cancel()
	x.End()
	if _, err := io.WriteString(nc, "echo"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("earlyecho")-len(early))
	if _, err := io.ReadFull(nc, got); err != nil || string(early)+string(got) != "earlyecho" {
		t.Errorf("got %q and %q, %v", early, got, err)
	}
}

// TestTakeOverTooLate: a context that ends before the connection is taken over takes
// the connection with it.
func TestTakeOverTooLate(t *testing.T) {
	gone := make(chan error, 1)
	url, _ := serve(t, func(nc net.Conn) {
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		_, err := io.Copy(io.Discard, nc)
		gone <- err
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	x := start(t, ctx, url, nil)
	resp, err := x.Do()
	if err != nil {
		t.Fatal(err)
	}
	cancel(io.ErrNoProgress)
	if nc, _, err := x.TakeOver(resp); nc != nil || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, %v", nc, err)
	}
	<-gone // the server sees the end
}

// TestRefused: the body of another answer than 101 is read, and is in the response.
func TestRefused(t *testing.T) {
	url, _ := serve(t, func(nc net.Conn) {
		io.WriteString(nc, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("x", 5000))
	})
	x := start(t, t.Context(), url, nil)
	resp, err := x.Do()
	if err != nil {
		t.Fatal(err)
	}
	body, err := x.Refused(resp)
	again, readErr := io.ReadAll(resp.Body)
	if want := strings.Repeat("x", maxRefusalBody); string(body) != want || string(again) != want || err != nil || readErr != nil {
		t.Errorf("got %d and %d bytes, %v, %v", len(body), len(again), err, readErr)
	}
}

// TestNoAnswer: the error is a Refusal as it is, and that of a context that ends is
// its cause.
func TestNoAnswer(t *testing.T) {
	url, _ := serve(t, func(nc net.Conn) { io.WriteString(nc, "SSH-2.0-x\r\n") })
	_, err := start(t, t.Context(), url, nil).Do()
	if r, ok := err.(*Refusal); !ok || r.Status != 0 || r.Text != r.Reason || !strings.Contains(r.Text, "another protocol than HTTP") {
		t.Errorf("got %T, %v", err, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	url, _ = serve(t, func(nc net.Conn) {
		cancel(io.ErrNoProgress)
		io.Copy(io.Discard, nc) // until the exchange cuts the connection
	})
	if _, err := start(t, ctx, url, nil).Do(); !errors.Is(err, io.ErrNoProgress) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cause", err)
	}
}
