package netconn_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// A NetConn in the hands of others: tunnels, crypto/tls, net/http.

// checkTransfer has size bytes go over a stream in Writes of random sizes, some of
// them large, and be read in pieces of random sizes.
func checkTransfer(t *testing.T, from, to net.Conn, size int, seed byte) {
	sums := make(chan [sha256.Size]byte, 2)
	fail := make(chan error, 2)
	transfer := func(dst io.Writer, src io.Reader, h hash.Hash, step func() int) {
		buf := make([]byte, 256<<10)
		total := 0
		for total < size {
			n, err := io.ReadFull(src, buf[:min(step(), size-total)])
			if err == nil {
				h.Write(buf[:n])
				var m int
				if m, err = dst.Write(buf[:n]); err == nil && m < n {
					err = io.ErrShortWrite
				}
			}
			if err != nil {
				fail <- fmt.Errorf("after %d bytes: %w", total, err)
				return
			}
			total += n
		}
		fail <- nil
		sums <- [sha256.Size]byte(h.Sum(nil))
	}
	steps := func(seed uint64) func() int {
		r := rand.New(rand.NewPCG(seed, seed))
		return func() int { return 1 + r.IntN([]int{10, 2000, 40_000, 200_000}[r.IntN(4)]) }
	}
	go transfer(from, rand.NewChaCha8([32]byte{seed}), sha256.New(), steps(uint64(seed)))
	go transfer(io.Discard, to, sha256.New(), steps(uint64(seed)+100))
	if err := errors.Join(<-fail, <-fail); err != nil {
		t.Error(err)
		return
	}
	if a, b := <-sums, <-sums; a != b {
		t.Error("the checksums differ")
	}
}

// TestNetConnTunnel: much in both directions at a time.
func TestNetConnTunnel(t *testing.T) {
	size := 64 << 20
	if testing.Short() {
		size = 8 << 20
	}
	conntest.OverKinds(t, wstest.Transports[1:], websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		a, b := client.NetConn(ctx, websocket.Binary), server.NetConn(ctx, websocket.Binary)
		var both sync.WaitGroup
		both.Go(func() { checkTransfer(t, a, b, size, 1) })
		both.Go(func() { checkTransfer(t, b, a, size, 2) })
		both.Wait()
	})
}

// TestNetConnCopies: a tunnel as proxies make one, out of io.Copy, between two
// connections in the clear.
func TestNetConnCopies(t *testing.T) {
	conntest.OverKinds(t, wstest.Transports[1:], websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		nearOut, nearIn := wstest.TCPPair(t)
		farIn, farOut := wstest.TCPPair(t)
		var copies sync.WaitGroup
		for _, ends := range [][2]net.Conn{{a, nearIn}, {nearIn, a}, {b, farIn}, {farIn, b}} {
			copies.Go(func() { io.Copy(ends[0], ends[1]) }) // ends by the ends below; a fault before shows in the checksums
		}
		var both sync.WaitGroup
		both.Go(func() { checkTransfer(t, nearOut, farOut, 8<<20, 3) })
		both.Go(func() { checkTransfer(t, farOut, nearOut, 8<<20, 4) })
		both.Wait()
		nearOut.Close()
		farOut.Close()
		client.CloseNow()
		server.CloseNow()
		copies.Wait()
		nearIn.Close()
		farIn.Close()
	})
}

// TestNetConnUnderTLS: TLS in messages, on any transport.
func TestNetConnUnderTLS(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a := tls.Client(client.NetConn(bg, websocket.Binary), &tls.Config{InsecureSkipVerify: true})
		b := tls.Server(server.NetConn(bg, websocket.Binary), wstest.Certificate())
		var both sync.WaitGroup
		both.Go(func() { checkTransfer(t, a, b, 4<<20, 5) })
		both.Go(func() { checkTransfer(t, b, a, 4<<20, 6) })
		both.Wait()
		closed := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			if err == io.EOF {
				err = b.Close()
			}
			closed <- err
		}()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// oneListener accepts what is sent to it.
type oneListener struct {
	conns chan net.Conn
	addr  net.Addr
}

func (l *oneListener) Accept() (net.Conn, error) {
	nc, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.addr }

// TestNetConnUnderHTTP: net/http on both ends, which sets deadlines and reads in the
// background, with uploads and downloads larger than any read limit.
func TestNetConnUnderHTTP(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		ln := &oneListener{conns: make(chan net.Conn, 1), addr: b.LocalAddr()}
		ln.conns <- b
		srv := &http.Server{
			ReadTimeout:  20 * time.Second,
			WriteTimeout: 20 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				w.Write(body)
			}),
		}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		dials := 0
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			if dials++; dials > 1 {
				return nil, errors.New("the connection was not used again")
			}
			return a, nil
		}}
		hc := &http.Client{Transport: tr}
		for i, size := range []int{10, 3 << 20, 0, 100_000, 3 << 20} {
			want := wstest.Pattern(size)
			resp, err := hc.Post("http://over.websocket/", "application/octet-stream", bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("request %d: %d bytes of %d, %v", i, len(got), size, err)
			}
		}
		tr.CloseIdleConnections()
		close(ln.conns)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
}
