//go:build linux

package load

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// secureJob is testJob over TLS.
func secureJob(t *testing.T, handler func(*websocket.Conn), kind string) Job {
	srv := unstarted(t, handler)
	srv.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	srv.StartTLS()
	job := testJob(srv, kind)
	job.TLS = true
	return job
}

// The replies and the records that hold them are counted. A record has 22 bytes besides
// the frames in it, of which there are one to three here.
func TestSecureEcho(t *testing.T) {
	for _, separate := range []bool{true, false} {
		job := secureJob(t, oneByOne, Echo)
		job.Records = separate
		r, err := Run(t.Context(), job, nil)
		if err != nil {
			t.Fatal(err)
		}
		const frame, record = 300 + 4, 22
		underWay := float64(job.Conns * job.Depth) // when the clock starts or stops
		least, most := r.Messages-underWay, r.Messages+underWay
		if wire := float64(r.Wire); wire < least*(frame+record/3) || wire > most*(frame+record) {
			t.Errorf("separate records %v: %v bytes for %v messages", separate, wire, r.Messages)
		}
		if records := float64(r.Records); records < least/3 || records > most {
			t.Errorf("separate records %v: %v records for %v messages", separate, records, r.Messages)
		}
	}
}

// oneByOne is an echo that reads and writes a message at a time.
func oneByOne(c *websocket.Conn) {
	for {
		typ, p, err := c.Read(c.Context())
		if err != nil || c.Write(c.Context(), typ, p) != nil {
			return
		}
	}
}

// counting is a connection that counts the TLS records that it receives.
type counting struct {
	net.Conn
	head recordScanner
	n    atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(c.head.feed(b[:n]))
	return n, err
}

// A batch is sent in one record, or in one for each message.
func TestRecordsSent(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS() // for its certificate
	defer srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, separate := range []bool{true, false} {
		var server counting
		received := make(chan error)
		script := plainScript(100, 3)
		batch := script.batches[0]
		go func() {
			nc, err := l.Accept()
			if err != nil {
				received <- err
				return
			}
			defer nc.Close()
			server.Conn = nc
			over := tls.Server(&server, srv.TLS)
			received <- over.Handshake()
			_, err = io.ReadFull(over, make([]byte, len(batch)))
			received <- err
		}()
		r := &runner{Job: Job{Records: separate, Timeout: 10 * time.Second}}
		fd, err := connect(netip.MustParseAddrPort(l.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		c := &conn{fd: fd, batch: batch, record: r.recordSize(batch, 3)}
		if c.tls, err = r.secure(fd); err != nil {
			t.Fatal(err)
		}
		if err := <-received; err != nil {
			t.Fatal(err)
		}
		before := server.n.Load()
		if err := c.push(); err != nil || c.unsent() {
			t.Fatal(err)
		}
		if err := <-received; err != nil {
			t.Fatal(err)
		}
		c.close()
		want := int64(1)
		if separate {
			want = 3
		}
		if got := server.n.Load() - before; got != want {
			t.Errorf("separate %v: %d records, want %d", separate, got, want)
		}
	}
}

func TestRecordCounter(t *testing.T) {
	stream := slices.Concat([]byte{23, 3, 3, 0, 4}, make([]byte, 4), []byte{23, 3, 3, 1, 0}, make([]byte, 256), []byte{23, 3})
	for size := 1; size <= len(stream); size++ {
		var r recordScanner
		var n int64
		for part := range slices.Chunk(stream, size) {
			n += r.feed(part)
		}
		if n != 2 || r.have != 2 {
			t.Errorf("in parts of %d: %d records and %d bytes of a header, want 2 and 2", size, n, r.have)
		}
	}
}

func TestWrongSecureReply(t *testing.T) {
	job := secureJob(t, echo(func(n int, m websocket.Message) websocket.Message {
		if n > 10 {
			m.Data[0] ^= 1
		}
		return m
	}), Echo)
	if _, err := Run(t.Context(), job, nil); err == nil || !strings.Contains(err.Error(), "after the measurement") {
		t.Errorf("error %v, want one after the measurement", err)
	}
}

func TestSecureHandshakes(t *testing.T) {
	var mu sync.Mutex
	served := 0
	job := secureJob(t, func(c *websocket.Conn) {
		mu.Lock()
		served++
		mu.Unlock()
		c.Read(c.Context())
	}, Handshake)
	r, err := Run(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if r.Messages < 1 || float64(served) < r.Messages || r.CPU <= 0 || r.P50 <= 0 {
		t.Errorf("%d served: %+v", served, r)
	}
}

func TestSecureMemory(t *testing.T) {
	var states []string
	job := secureJob(t, echo(nil), Memory)
	job.Conns = 20
	if _, err := Run(t.Context(), job, func(state string) error {
		states = append(states, state)
		return nil
	}); err != nil || len(states) != 3 {
		t.Errorf("pauses %v, %v", states, err)
	}
}

// A server in the clear, and one that is gone, are errors and not waited for.
func TestNotSecure(t *testing.T) {
	srv := serve(t, echo(nil))
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, srv := range map[string]*httptest.Server{"in the clear": srv, "gone": gone} {
		for _, kind := range []string{Echo, Handshake} {
			job := testJob(srv, kind)
			job.TLS, job.Timeout = true, 5*time.Second
			if _, err := Run(t.Context(), job, nil); err == nil {
				t.Errorf("%s, %s: no error", name, kind)
			}
		}
	}
}
