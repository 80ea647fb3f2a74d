package websocket_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// mux carries several streams over one connection. In front of each piece are
// the number of its stream and its length. A stream that nobody reads stops the
// others: multiplexers such as yamux have a window for each.
type mux struct {
	nc net.Conn

	mu      sync.Mutex // guards writes, which must not be mixed
	streams map[byte]*io.PipeWriter
}

// newMux returns a mux for the given numbers of streams, and their readers.
func newMux(nc net.Conn, ids ...byte) (*mux, map[byte]io.Reader) {
	m := &mux{nc: nc, streams: make(map[byte]*io.PipeWriter)}
	readers := make(map[byte]io.Reader)
	for _, id := range ids {
		readers[id], m.streams[id] = io.Pipe()
	}
	go m.receive()
	return m, readers
}

func (m *mux) write(id byte, p []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{id}, uint32(len(p)))
	_, err := m.nc.Write(append(head, p...))
	return err
}

func (m *mux) receive() {
	r := bufio.NewReader(m.nc)
	for {
		var head [5]byte
		_, err := io.ReadFull(r, head[:])
		if err == nil {
			w := m.streams[head[0]]
			if w == nil {
				err = fmt.Errorf("there is no stream %d", head[0])
			} else {
				_, err = io.CopyN(w, r, int64(binary.BigEndian.Uint32(head[1:])))
			}
		}
		if err != nil { // io.EOF when the peer has closed normally
			for _, w := range m.streams {
				w.CloseWithError(err)
			}
			return
		}
	}
}

// A multiplexer has several streams share one connection. Such programs take a
// net.Conn, and so does this one.
func ExampleConn_NetConn_multiplexer() {
	client, server := websocket.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	go func() {
		nc := server.NetConn(ctx, websocket.Binary)
		defer nc.Close()
		m, _ := newMux(nc)
		m.write(1, []byte("stdout: "))
		m.write(2, []byte("stderr: "))
		m.write(1, []byte("42"))
		m.write(2, []byte("nothing"))
	}()

	nc := client.NetConn(ctx, websocket.Binary)
	defer nc.Close()
	_, streams := newMux(nc, 1, 2)
	var output [2][]byte
	var reading sync.WaitGroup
	for i := range output {
		reading.Go(func() { output[i], _ = io.ReadAll(streams[byte(i+1)]) })
	}
	reading.Wait()
	fmt.Printf("%s\n%s\n", output[0], output[1])
	// Output:
	// stdout: 42
	// stderr: nothing
}
