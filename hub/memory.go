package hub

import (
	"slices"
	"sync"
)

// Memory is a [Backplane] within a process: for tests of programs that use
// several hubs. The zero value is ready for use, and must not be copied after.
//
// A message has been delivered when Publish returns, but for Options.Collect.
type Memory struct {
	mu     sync.Mutex
	topics map[string][]*memorySubscriber
}

type memorySubscriber struct{ deliver func([]byte) }

// Publish implements [Backplane]. It returns nil.
func (m *Memory) Publish(topic string, msg []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.topics[topic] {
		s.deliver(msg)
	}
	return nil
}

// Subscribe implements [Backplane]. No error is ever returned.
func (m *Memory) Subscribe(topic string, deliver func(msg []byte)) (unsubscribe func() error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.topics == nil {
		m.topics = make(map[string][]*memorySubscriber)
	}
	s := &memorySubscriber{deliver}
	m.topics[topic] = append(m.topics[topic], s)
	return func() error {
		m.remove(topic, s)
		return nil
	}, nil
}

func (m *Memory) remove(topic string, s *memorySubscriber) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.topics[topic], s)
	if i < 0 {
		return
	}
	if m.topics[topic] = slices.Delete(m.topics[topic], i, i+1); len(m.topics[topic]) == 0 {
		delete(m.topics, topic)
	}
}
