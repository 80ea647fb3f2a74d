package hub

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// spreadFrom is from how many chunks on a delivery is spread over the cores. With
// fewer, it stays on its goroutine.
const spreadFrom = 4

// spread is a delivery of a batch by several goroutines, each of which takes the next
// chunk until none is left. It is pooled because a func value of it allocates.
type spread struct {
	hub      *Hub
	batch    *batch
	chunks   []*chunk
	next     atomic.Int64
	helpers  sync.WaitGroup
	panicked atomic.Pointer[any] // the value of a helper's panic, in a hook of a connection
	help     func()              // helper
}

var spreads = sync.Pool{New: func() any {
	s := new(spread)
	s.help = s.helper
	return s
}}

// deliver gives b to the subscribers in chunks. It starts goroutines to help, one
// for two chunks or more, if there are cores for them: the deliveries of a hub have
// one helper less than there are cores, all together.
func (h *Hub) deliver(b *batch, chunks []*chunk) {
	defer h.counters.take(&b.counts)
	if len(chunks) < spreadFrom {
		for _, c := range chunks {
			c.deliver(b, &b.counts)
		}
		return
	}
	s := spreads.Get().(*spread)
	s.hub, s.batch, s.chunks = h, b, chunks
	most := int32(runtime.GOMAXPROCS(0) - 1)
	for range len(chunks) / 2 {
		if h.helping.Add(1) > most {
			h.helping.Add(-1)
			break
		}
		s.helpers.Add(1)
		go s.help()
	}
	defer s.end()
	s.work(&b.counts)
}

// work gives the batch to chunks until none is left.
func (s *spread) work(n *counts) {
	for {
		i := int(s.next.Add(1)) - 1
		if i >= len(s.chunks) {
			return
		}
		s.chunks[i].deliver(s.batch, n)
	}
}

// helper is a goroutine that helps. A panic passes to the publisher.
func (s *spread) helper() {
	defer s.helpers.Done()
	defer s.hub.helping.Add(-1)
	var n counts
	defer s.hub.counters.take(&n)
	defer func() {
		if v := recover(); v != nil {
			s.panicked.Store(&v)
		}
	}()
	s.work(&n)
}

// end waits for the helpers.
func (s *spread) end() {
	s.helpers.Wait()
	v := s.panicked.Load()
	s.hub, s.batch, s.chunks = nil, nil, nil
	s.next.Store(0)
	s.panicked.Store(nil)
	spreads.Put(s)
	if v != nil {
		panic(*v)
	}
}
