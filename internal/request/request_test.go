package request

import (
	"bufio"
	"strings"
	"testing"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// TestRequests: net/http's server does the same with each of the requests, and
// so does every way to parse it.
func TestRequests(t *testing.T) {
	o := newOracle(t)
	outcomes := map[int]int{}
	all := requests()
	for _, s := range all {
		name := s
		if len(name) > 100 {
			name = name[:100]
		}
		t.Run(name, func(t *testing.T) { check(t, o, []byte(s), true) })
		_, n, err := Parse([]byte(s))
		switch {
		case err != nil:
			outcomes[err.(*Error).Status]++
		case n > 0:
			outcomes[101]++
		default:
			outcomes[0]++
		}
	}
	t.Logf("%d requests: %v", len(all), outcomes)
	for status, least := range map[int]int{0: 5, 101: 100, 400: 100, 417: 5, 431: 3, 501: 10, 505: 10} {
		if outcomes[status] < least {
			t.Errorf("%d requests have the outcome %d, want at least %d", outcomes[status], status, least)
		}
	}
}

// FuzzRequest: net/http's server does the same with any input.
func FuzzRequest(f *testing.F) {
	for _, s := range requests() {
		if len(s) < 2000 {
			f.Add([]byte(s))
		}
	}
	o := newOracle(f)
	f.Fuzz(func(t *testing.T, b []byte) { check(t, o, b, len(b) < 1000) })
}
