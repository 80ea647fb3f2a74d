package contract

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Set holds the connections open on "/broadcast". It is read for every message and
// changed only when a client connects or closes, so each change makes a new slice
// and readers take no lock. The zero value is empty.
type Set[T comparable] struct {
	mu      sync.Mutex // held while members is replaced
	members atomic.Pointer[[]T]
}

// All returns the members as they are now. The slice must not be changed.
func (s *Set[T]) All() []T {
	if p := s.members.Load(); p != nil {
		return *p
	}
	return nil
}

// Has looks through all members.
func (s *Set[T]) Has(member T) bool { return slices.Contains(s.All(), member) }

func (s *Set[T]) Add(member T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := append(slices.Clip(s.All()), member) // a full slice is copied
	s.members.Store(&members)
}

func (s *Set[T]) Remove(member T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := slices.Clone(s.All())
	if i := slices.Index(members, member); i >= 0 {
		members = slices.Delete(members, i, i+1)
	}
	s.members.Store(&members)
}
