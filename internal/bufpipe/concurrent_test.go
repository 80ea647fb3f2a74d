package bufpipe

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWaitYields has two ends wake each other in turn on one processor, on which a
// third goroutine waits for its turn.
func TestWaitYields(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := New(10)
	var wg sync.WaitGroup
	wg.Go(func() {
		p := make([]byte, 1)
		for {
			if _, err := b.Read(p); err != nil {
				return
			}
			b.Write(p)
		}
	})
	echo := func(times int) {
		p := make([]byte, 1)
		for range times {
			a.Write(p)
			a.Read(p)
		}
	}
	echo(1) // the other end waits
	var third atomic.Bool
	wg.Go(func() { third.Store(true) })
	echo(2 * yieldEvery)
	if !third.Load() {
		t.Error("the third goroutine has not run")
	}
	a.Close()
	wg.Wait()
}

// copyThrough sends want from one end to the other in uneven pieces.
func copyThrough(t *testing.T, from, to *Conn, want []byte) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for p, i := want, 0; len(p) > 0; i++ {
			n, err := from.Write(p[:min(len(p), 1+i*37%2000)])
			if err != nil {
				t.Error(err)
				break
			}
			p = p[n:]
		}
		from.CloseWrite()
	})
	got, err := io.ReadAll(to)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came through, or others: %v", len(got), len(want), err)
	}
	wg.Wait()
}

// Both directions at once, while deadlines come and go.
func TestBothDirections(t *testing.T) {
	a, b := New(1000)
	defer a.Close()
	defer b.Close()
	there, back := make([]byte, 300_000), make([]byte, 200_000)
	for i := range there {
		there[i] = byte(i * i >> 3)
	}
	for i := range back {
		back[i] = byte(i * 7 >> 2)
	}
	stop := make(chan struct{})
	var wg, deadlines sync.WaitGroup
	deadlines.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.SetDeadline(time.Now().Add(time.Hour))
				b.SetReadDeadline(time.Now().Add(time.Minute))
				b.SetWriteDeadline(time.Time{})
			}
		}
	})
	wg.Go(func() { copyThrough(t, a, b, there) })
	wg.Go(func() { copyThrough(t, b, a, back) })
	wg.Wait()
	close(stop)
	deadlines.Wait()
}

// Several readers and writers share an end: every byte arrives once.
func TestConcurrentUse(t *testing.T) {
	const writers, readers, each = 4, 3, 2000
	a, b := New(64)
	var wrote, counted sync.WaitGroup
	for i := range writers {
		wrote.Go(func() {
			for range each {
				if n, err := a.Write([]byte{byte(i), byte(i)}); n != 2 || err != nil {
					t.Errorf("Write = %d, %v", n, err)
					return
				}
			}
		})
	}
	var mu sync.Mutex
	var total [writers]int
	for range readers {
		counted.Go(func() {
			var p [100]byte
			for {
				n, err := b.Read(p[:])
				mu.Lock()
				for _, c := range p[:n] {
					total[c]++
				}
				mu.Unlock()
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wrote.Wait()
	a.Close()
	counted.Wait()
	for i, n := range total {
		if n != 2*each {
			t.Errorf("%d bytes of writer %d came through, want %d", n, i, 2*each)
		}
	}
}

// Close ends all calls on both ends.
func TestCloseInUse(t *testing.T) {
	for range 50 {
		a, b := New(16)
		var wg sync.WaitGroup
		for _, c := range []*Conn{a, b} {
			wg.Go(func() {
				p := make([]byte, 5)
				for {
					if _, err := c.Read(p); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				for {
					if _, err := c.Write([]byte("0123456")); err != nil {
						return
					}
				}
			})
		}
		a.SetDeadline(time.Now().Add(time.Hour))
		a.Close()
		wg.Wait()
		b.Close()
	}
}
