package wstest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package, and fails if they leave goroutines of the module
// or sockets behind. A package's TestMain calls it and passes the result to os.Exit.
func Main(m *testing.M) (code int) {
	parallelWaits()
	return MainOfFew(m)
}

// MainOfFew is Main for tests that compute more than they wait: no more of them run at
// once than go test says.
func MainOfFew(m *testing.M) (code int) {
	sockets := Sockets()
	code = m.Run()
	if code == 0 {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if err := checkLeaks(sockets); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// parallelWaits has 32 parallel tests run at once, unless -parallel says otherwise:
// they wait more than they compute.
func parallelWaits() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "32"); err != nil {
			panic(err)
		}
	}
}

// checkLeaks waits until the goroutines of the module are gone and no more sockets
// are open than there were, and tells what is left after a while.
func checkLeaks(sockets int) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left := Goroutines()
		runtime.GC() // closes what only a finalizer holds, which is not our way but net/http's
		now := Sockets()
		if len(left) == 0 && now <= sockets {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("leaked: %d descriptors (%d before), goroutines:\n%s", now, sockets, strings.Join(left, "\n\n"))
		}
	}
}

// Goroutines returns the stacks of goroutines that the module is part of, but for
// that of the caller.
func Goroutines() (stacks []string) {
	buf := make([]byte, 8<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for i, g := range strings.Split(string(buf), "\n\n") {
		if i > 0 && strings.Contains(g, "fullduplex-go/websocket") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// Sockets counts this process's sockets; where the system does not tell, it is 0.
func Sockets() (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// NoGoroutines runs f and fails the test if goroutines that it has started remain.
// They are told from those of other tests by a label that goroutines inherit.
func NoGoroutines(t testing.TB, f func()) {
	t.Helper()
	label := fmt.Sprintf("%s-%p", t.Name(), &f)
	pprof.Do(context.Background(), pprof.Labels("wstest", label), func(context.Context) { f() })
	var stacks string
	Eventually(t, func() bool {
		var buf bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&buf, 1)
		stacks = buf.String()
		return !strings.Contains(stacks, label)
	}, func() string { return "goroutines are left:\n" + stacks })
}
