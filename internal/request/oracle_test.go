package request

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// oracle is a server of net/http that judges requests.
type oracle struct {
	conns chan net.Conn
}

// newOracle starts a server that reads no more than MaxHead bytes of a head.
func newOracle(t testing.TB) *oracle {
	o := &oracle{conns: make(chan net.Conn)}
	s := &http.Server{
		Handler:        http.HandlerFunc(o.handle),
		ErrorLog:       log.New(io.Discard, "", 0),
		MaxHeaderBytes: MaxHead - 4096, // net/http adds as much
		// OPTIONS * has a handler of its own otherwise.
		DisableGeneralOptionsHandler: true,
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(o) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return o
}

func (o *oracle) Accept() (net.Conn, error) {
	nc, ok := <-o.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

func (o *oracle) Close() error   { close(o.conns); return nil }
func (o *oracle) Addr() net.Addr { return oracleAddr }

var oracleAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}

func (o *oracle) handle(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(http.LocalAddrContextKey).(connAddr).conn
	c.reply(verdict{request: r})
	panic(http.ErrAbortHandler)
}

// verdict is the oracle's reaction to some input: nothing, or an answer, or a
// call of the handler.
type verdict struct {
	answer  string
	request *http.Request
}

// status is that of the answer, 0 if there is none.
func (v verdict) status(t testing.TB) int {
	if v.answer == "" {
		return 0
	}
	resp, err := http.ReadResponse(newReader(v.answer), nil)
	if err != nil {
		t.Fatalf("net/http answered %q: %v", v.answer, err)
	}
	if resp.StatusCode >= 400 && !resp.Close {
		t.Errorf("net/http answered %q and goes on", v.answer)
	}
	return resp.StatusCode
}

// judge has the oracle read b, and then fail as if nothing else came in time.
func (o *oracle) judge(b []byte) verdict {
	c := &oracleConn{in: bytes.NewReader(b), replied: make(chan verdict, 1)}
	o.conns <- c
	return <-c.replied
}

// oracleConn is a connection in memory. The first thing that is done with it,
// after reading, is the verdict.
type oracleConn struct {
	mu      sync.Mutex
	in      *bytes.Reader
	once    sync.Once
	replied chan verdict
}

type connAddr struct {
	net.Addr
	conn *oracleConn
}

func (c *oracleConn) reply(v verdict) { c.once.Do(func() { c.replied <- v }) }

func (c *oracleConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in.Len() == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return c.in.Read(p)
}

func (c *oracleConn) Write(p []byte) (int, error) {
	c.reply(verdict{answer: string(p)})
	return len(p), nil
}

func (c *oracleConn) Close() error {
	c.reply(verdict{})
	return nil
}

func (c *oracleConn) SetDeadline(time.Time) error      { return nil }
func (c *oracleConn) SetReadDeadline(time.Time) error  { return nil }
func (c *oracleConn) SetWriteDeadline(time.Time) error { return nil }

func (c *oracleConn) LocalAddr() net.Addr  { return connAddr{oracleAddr, c} }
func (c *oracleConn) RemoteAddr() net.Addr { return oracleAddr }

// compare reports where the request r differs from the one that net/http's
// handler got, in any exported field.
func compare(t testing.TB, r, want *http.Request) {
	t.Helper()
	preface := r.ContentLength < 0 && r.TransferEncoding == nil // of HTTP/2
	if (want.Body == http.NoBody) != (r.ContentLength == 0 || preface) {
		t.Errorf("net/http's body is %T, ours has the length %d", want.Body, r.ContentLength)
	}
	if r.Body != http.NoBody {
		t.Errorf("Body is %T", r.Body)
	}
	r.RemoteAddr = oracleAddr.String()
	got, ref := reflect.ValueOf(r).Elem(), reflect.ValueOf(want).Elem()
	for i := range got.NumField() {
		f := got.Type().Field(i)
		if !f.IsExported() || f.Name == "Body" {
			continue
		}
		if g, w := got.Field(i).Interface(), ref.Field(i).Interface(); !reflect.DeepEqual(g, w) {
			t.Errorf("%s is %#v, want %#v", f.Name, g, w)
		}
	}
}

// check compares all ways to parse b with the oracle, and with each other at
// every prefix if thorough.
func check(t testing.TB, o *oracle, b []byte, thorough bool) {
	t.Helper()
	own := bytes.Clone(b)
	r, n, err := Parse(own)
	for i := range own {
		own[i] = 0xdb // nothing of it is in r
	}
	switch {
	case err != nil:
		e := err.(*Error)
		if r != nil || n != 0 || e.Reason == "" {
			t.Errorf("with the error %v: %v, %d", err, r, n)
		}
		v := o.judge(b)
		switch got := v.status(t); {
		case v.request != nil:
			t.Errorf("refused with %v, net/http's handler gets %v", err, v.request)
		case got == e.Status:
		case got == http.StatusRequestHeaderFieldsTooLarge && len(b) >= MaxHead:
			// net/http says so for any error, once it has read that much.
		default:
			t.Errorf("refused with %v, net/http answers %q", err, v.answer)
		}
	case n == 0:
		// net/http takes what it has for a line when reading fails.
		if v := o.judge(b[:bytes.LastIndexByte(b, '\n')+1]); r != nil || v != (verdict{}) {
			t.Errorf("not complete, to net/http it is: %q, %v", v.answer, v.request)
		}
	default:
		v := o.judge(b)
		if v.request == nil {
			t.Errorf("accepted, net/http answers %q", v.answer)
			break
		}
		compare(t, r, v.request)
		if again, m, err := Parse(b[:n]); err != nil || m != n {
			t.Errorf("the head alone: %v, %d, %v, want %d", again, m, err, n)
		}
	}
	if thorough {
		checkPrefixes(t, b, n, err)
	}
}

// checkPrefixes checks that no split of b changes what becomes of it: each
// prefix is not complete, or has the outcome of the whole.
func checkPrefixes(t testing.TB, b []byte, n int, err error) {
	t.Helper()
	var s Scanner
	step := 1 + len(b)/2000 // of a long one, as many
	for i := step; i < len(b)+step; i += step {
		p := b[:min(i, len(b))]
		scanned, serr := s.Scan(p)
		r, pn, perr := Parse(p)
		switch {
		case serr != nil && perr != serr, serr == nil && scanned == 0 && (pn != 0 || perr != nil):
			t.Fatalf("the first %d bytes: Scan %d, %v, Parse %d, %v", len(p), scanned, serr, pn, perr)
		case perr != nil && perr == err: // early, or not
		case perr != nil || pn != 0 && (pn != n || r == nil):
			t.Fatalf("the first %d bytes: %d, %v; all: %d, %v", len(p), pn, perr, n, err)
		}
		if scanned != 0 || perr != nil {
			if n != 0 && scanned != n {
				t.Fatalf("Scan found the end at %d, Parse at %d", scanned, n)
			}
			return
		}
	}
	if n != 0 || err != nil {
		t.Fatalf("no prefix has the outcome %d, %v", n, err)
	}
}

func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }
