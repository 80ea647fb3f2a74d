package request

import (
	"bufio"
	"net/http"
	"runtime"
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

// TestAllocations: the request and its URL, the copy of the head, the values,
// and the map with what it points to.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		head string
		want float64
	}{{plain, 5}, {chromium, 7}, {firefox, 7}} {
		head := []byte(tt.head)
		if got := testing.AllocsPerRun(100, func() {
			if _, n, err := Parse(head); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}); got > tt.want {
			t.Errorf("%v allocations, want %v, for\n%s", got, tt.want, tt.head)
		}
		var s Scanner
		i := 0
		if got := testing.AllocsPerRun(len(head)-2, func() {
			i++
			if n, err := s.Scan(head[:i]); n != 0 || err != nil {
				t.Fatal(n, err)
			}
		}); got > 0 {
			t.Errorf("%v allocations for each piece of\n%s", got, tt.head)
		}
	}
}

// TestManyFields: a head of many fields takes no more memory than net/http
// takes for it, whether they have the same name or not.
func TestManyFields(t *testing.T) {
	for name, fields := range map[string]string{"one name": strings.Repeat("a:\n", 5000), "many names": many(1000) + "\n"} {
		head := []byte("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")
		ours := allocated(func() {
			if _, n, err := Parse(head); n != len(head) || err != nil {
				t.Error(n, err)
			}
		})
		theirs := allocated(func() {
			if _, err := http.ReadRequest(newReader(string(head))); err != nil {
				t.Error(err)
			}
		})
		if t.Logf("%s: %d bytes, net/http %d", name, ours, theirs); ours > theirs {
			t.Errorf("%s: %d bytes for a head of %d, net/http takes %d", name, ours, len(head), theirs)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestError: the text has the status and the reason.
func TestError(t *testing.T) {
	_, _, err := Parse([]byte("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"))
	if err == nil || err.Error() != "400 Bad Request: header Host is malformed" {
		t.Error(err)
	}
}
