package hub

import (
	"testing"

	"github.com/fullduplex-go/websocket/hub/internal/planetest"
)

// The backplanes that are here keep the contract.
func TestPlanes(t *testing.T) {
	for name, newPlane := range map[string]func() Backplane{
		"memory": func() Backplane { return new(Memory) },
		"post":   func() Backplane { return new(post) },
	} {
		t.Run(name, func(t *testing.T) {
			planes := map[*testing.T]Backplane{} // one for each test
			planetest.Run(t, func(t *testing.T) planetest.Plane {
				if planes[t] == nil {
					planes[t] = newPlane()
				}
				return planes[t]
			})
		})
	}
}
