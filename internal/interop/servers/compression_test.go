package servers

import (
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/interop/limits"
)

// TestCompression dials every server with every combination of what limits
// compression. The connection works, and what was agreed on is within the
// limits.
func TestCompression(t *testing.T) {
	for name, start := range peers {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			compressed := 0
			for _, o := range limits.Combinations() {
				ok, err := limits.Try(t, url, o)
				if err != nil {
					t.Errorf("%+v: %v", *o, err)
				}
				if ok {
					compressed++
				}
			}
			if (compressed == 0) != strings.Contains(name, "no compression") {
				t.Errorf("%d connections were compressed", compressed)
			}
		})
	}
}
