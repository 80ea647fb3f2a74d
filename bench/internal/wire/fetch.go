//go:build linux

package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// fetcher makes requests, one at a time, on one connection that stays open.
type fetcher interface {
	// fetch returns the status and the content of the answer, which is valid
	// until the next call.
	fetch(path string) (status int, content []byte, err error)
}

// maxContent bounds the content of an answer, in bytes.
const maxContent = 1 << 20

// rawFetcher sends a browser's requests as they were captured.
type rawFetcher struct {
	w       io.Writer
	r       *bufio.Reader
	request string
}

func newRawFetcher(c net.Conn, request string) *rawFetcher {
	return &rawFetcher{c, bufio.NewReader(c), request}
}

func (f *rawFetcher) fetch(path string) (int, []byte, error) {
	resp, err := f.send(path)
	if err != nil {
		return 0, nil, err
	}
	content, err := readContent(resp)
	if resp.Close {
		err = errors.Join(err, errors.New("the server does not keep the connection"))
	}
	return resp.StatusCode, content, err
}

// send sends the request and reads the head of the response.
func (f *rawFetcher) send(path string) (*http.Response, error) {
	if _, err := io.WriteString(f.w, requestFor(f.request, path)); err != nil {
		return nil, err
	}
	return http.ReadResponse(f.r, nil)
}

func readContent(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxContent+1))
	if err == nil && len(content) > maxContent {
		err = errors.New("the content does not end")
	}
	return content, err
}

// goFetcher makes requests as net/http does.
type goFetcher struct {
	ctx    context.Context
	client http.Client
	base   string // of the URLs
	major  int    // version of HTTP
	header http.Header
}

// newGoFetcher returns a fetcher that speaks HTTP/1.1, or HTTP/2 if dialTLS is
// not nil. The header is added to that of net/http, and may be nil.
func newGoFetcher(ctx context.Context, addr string, dial func(context.Context) (net.Conn, error), dialTLS func(context.Context) (*tls.Conn, error), header http.Header) *goFetcher {
	f := &goFetcher{ctx: ctx, base: "http://" + addr, major: 1, header: header}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	if dialTLS != nil {
		f.base, f.major = "https://"+addr, 2
		t.ForceAttemptHTTP2 = true
		t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialTLS(ctx) }
	}
	f.client.Transport = t
	return f
}

func (f *goFetcher) fetch(path string) (int, []byte, error) {
	resp, err := f.send(path)
	if err != nil {
		return 0, nil, err
	}
	content, err := readContent(resp)
	return resp.StatusCode, content, err
}

func (f *goFetcher) send(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	if f.header != nil {
		req.Header = f.header.Clone()
	}
	resp, err := f.client.Do(req)
	if err == nil && resp.ProtoMajor != f.major {
		resp.Body.Close()
		return nil, fmt.Errorf("the server speaks %s", resp.Proto)
	}
	return resp, err
}
