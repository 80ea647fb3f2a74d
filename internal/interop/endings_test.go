//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
)

// endingCount is how many connections each way to end is tried with: 20, or as
// many as the environment variable ENDINGS says.
func endingCount(t *testing.T) int {
	text := os.Getenv("ENDINGS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("ENDINGS is %q", text)
	}
	return n
}

// endingTime bounds all that is done with one peer.
const endingTime = 5 * time.Minute

// endings are the ways to end: what the peer does and what it must see, and what
// our server must see.
var endings = []struct {
	name       string
	action     endingAction
	peer       ending
	anyReason  bool // the text is ours to choose, but there must be one
	remote     bool // for the server it was the peer that closed
	notBrowser bool // a page cannot do it
}{
	{
		name:   "closed by peer",
		action: endingAction{Close: &[]any{1000, "Clean Close"}},
		peer:   ending{1000, "Clean Close", true}, remote: true,
	},
	{
		name:   "closed by peer with a code of its own",
		action: endingAction{Close: &[]any{4001, "reason ü"}},
		peer:   ending{4001, "reason ü", true}, remote: true,
	},
	{
		name:   "closed by peer without a code",
		action: endingAction{Close: &[]any{}},
		peer:   ending{1005, "", true}, remote: true,
	},
	{
		name:   "closed by peer behind messages",
		action: endingAction{Behind: 3, Close: &[]any{4003, "behind"}},
		peer:   ending{4003, "behind", true}, remote: true,
	},
	{
		name:   "invalid UTF-8",
		action: endingAction{Invalid: true},
		peer:   ending{1007, "", true}, anyReason: true, notBrowser: true,
	},
	{
		name:   "too large a message",
		action: endingAction{Large: endingLimit + 1},
		peer:   ending{1009, "", true}, anyReason: true,
	},
	{
		name:   "closed by server",
		action: endingAction{Send: "close 1001 until töday"},
		peer:   ending{1001, "until töday", true},
	},
	{
		name:   "closed by server with a code of its own",
		action: endingAction{Send: "close 4002 " + strings.Repeat("r", 123)},
		peer:   ending{4002, strings.Repeat("r", 123), true},
	},
}

func TestEndings(t *testing.T) {
	t.Parallel()
	run := func(name string, isBrowser bool, start func(t *testing.T, dir string) endingPeer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			selfSigned(t, dir)
			p := start(t, dir)
			ctx, cancel := context.WithTimeout(t.Context(), endingTime)
			t.Cleanup(cancel)
			for _, s := range endingServers(t, dir) {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					for _, e := range endings {
						if e.notBrowser && isBrowser {
							continue
						}
						t.Run(e.name, func(t *testing.T) {
							got, err := p.ask(ctx, endingQuestion{URL: s.url, Action: e.action, Count: endingCount(t)})
							if err != nil {
								t.Fatal(err)
							}
							checkEnds(t, "peer", got, e.peer, e.anyReason)
							checkEnds(t, "server", s.seen(t, ctx, e.remote), e.peer, e.anyReason)
						})
					}
				})
			}
		})
	}
	run("Chromium", true, func(t *testing.T, _ string) endingPeer {
		return openEndings(t, browser.ForTest(t, testContext(t), browser.StartChromium))
	})
	run("Firefox", true, func(t *testing.T, _ string) endingPeer {
		return openEndings(t, browser.ForTest(t, testContext(t), browser.StartFirefox))
	})
	for _, p := range peers {
		run(p.name, false, func(t *testing.T, dir string) endingPeer { return startEndings(t, p, dir) })
	}
}

// seen returns how the last connections have ended for the server. Their ends
// are clean if it was the expected side that closed.
func (s *endingServer) seen(t *testing.T, ctx context.Context, remote bool) []ending {
	t.Helper()
	var ends []ending
	for range endingCount(t) {
		ends = append(ends, s.end(t, ctx, remote))
	}
	return ends
}

// end returns how the next connection has ended for the server.
func (s *endingServer) end(t *testing.T, ctx context.Context, remote bool) ending {
	t.Helper()
	select {
	case end := <-s.ends:
		return ending{end.Code, end.Reason, end.Remote == remote}
	case <-ctx.Done():
		t.Fatalf("the server's connection does not end: %v", context.Cause(ctx))
		return ending{}
	}
}

// checkEnds expects all ends to be as wanted, and tells of others how many there
// are of which kind. With anyReason any reason but none is right.
func checkEnds(t *testing.T, who string, ends []ending, want ending, anyReason bool) {
	t.Helper()
	if len(ends) != endingCount(t) {
		t.Errorf("%s: %d ends of %d connections", who, len(ends), endingCount(t))
	}
	others := make(map[string]int)
	for _, end := range ends {
		if end.Code != want.Code || end.Clean != want.Clean || anyReason && end.Reason == "" || !anyReason && end.Reason != want.Reason {
			others[fmt.Sprintf("%d %q, clean: %v", end.Code, end.Reason, end.Clean)]++
		}
	}
	for end, n := range others {
		t.Errorf("%s: %d of %d ended with %s, want %d %q, clean: %v", who, n, len(ends), end, want.Code, want.Reason, want.Clean)
	}
}
