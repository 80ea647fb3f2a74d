//go:build interop

package interop

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fullduplex-go/websocket/internal/interop/limits"
)

// TestLimitsOnCompression dials servers with every combination of what limits
// compression.
func TestLimitsOnCompression(t *testing.T) {
	node := func(t *testing.T) string { return peers[0].interpreter(t) }
	python := func(t *testing.T) string { return peers[1].interpreter(t) }
	for _, tt := range []struct {
		name        string
		interpreter func(*testing.T) string
		script      []string
		probe       string // imports what the script needs
		// Tornado ignores server_no_context_takeover, and what it was offered
		// behind the first permessage-deflate. So it keeps 32 KiB where it is
		// not asked for a smaller window.
		ignoresTakeover bool
		// zlib does not compress within a window of 256 bytes, and Tornado
		// fails when it is asked to.
		noSmallest bool
	}{
		{name: "ws", interpreter: node, script: []string{"compress-server.js", "{}"}},
		{name: "ws without takeover", interpreter: node, script: []string{"compress-server.js", `{"server_no_context_takeover": true, "client_no_context_takeover": true}`}},
		{name: "websockets", interpreter: python, script: []string{"compress-server.py", "{}"}, probe: "import websockets"},
		{name: "tornado", interpreter: python, script: []string{"tornado-server.py"}, probe: "import tornado", ignoresTakeover: true, noSmallest: true},
		{name: "aiohttp", interpreter: python, script: []string{"aiohttp-server.py"}, probe: "import aiohttp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.probe != "" {
				if out, err := exec.CommandContext(testContext(t), tt.interpreter(t), "-c", tt.probe).CombinedOutput(); err != nil {
					t.Fatalf("%s is needed for this test, see the package documentation: %v\n%s", tt.name, err, out)
				}
			}
			script := append([]string{filepath.Join("testdata", tt.script[0])}, tt.script[1:]...)
			url := start(t, nil, tt.interpreter(t), script...).url(t)
			compressed := 0
			for _, o := range limits.Combinations() {
				if tt.noSmallest && o.WindowBits == 8 {
					continue
				}
				ok, err := limits.Try(t, url, o)
				if err != nil && !(tt.ignoresTakeover && o.MemoryBudget != 0) {
					t.Errorf("%+v: %v", *o, err)
				}
				if ok {
					compressed++
				}
			}
			if compressed == 0 {
				t.Error("no connection was compressed")
			}
			t.Logf("%d connections were compressed", compressed)
		})
	}
}
