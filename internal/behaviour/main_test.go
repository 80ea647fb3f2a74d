package behaviour_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait of the tests for something that must happen. It is
// long, since the machine may be busy.
var patience = seconds("BEHAVIOUR_PATIENCE", 20)

// seconds is the value of an environment variable in seconds, or def.
func seconds(name string, def float64) time.Duration {
	if v := os.Getenv(name); v != "" {
		var err error
		if def, err = strconv.ParseFloat(v, 64); err != nil {
			panic(name + ": " + err.Error())
		}
	}
	return time.Duration(def * float64(time.Second))
}

// TestMain opens the descriptors that the runtime keeps open for ever, so that the
// counts of descriptors begin after them.
func TestMain(m *testing.M) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ln.Close()
	os.Exit(m.Run())
}

// times is n, or ten times as much with BEHAVIOUR_FULL=1.
func times(n int) int {
	if os.Getenv("BEHAVIOUR_FULL") == "1" {
		return 10 * n
	}
	return n
}

// checkLeaks makes t fail if the test, its cleanups included, leaves
// descriptors or goroutines of the library behind.
func checkLeaks(t *testing.T) {
	t.Helper()
	before, known := descriptors(t), make(map[string]bool) // of tests that have failed before
	for _, g := range goroutines() {
		known[number(g)] = true
	}
	t.Cleanup(func() {
		for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
			left := slices.DeleteFunc(goroutines(), func(g string) bool { return known[number(g)] })
			now := descriptors(t)
			if len(left) == 0 && now <= before {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("left: %d descriptors (%d before) and %d goroutines:\n%s", now, before, len(left), strings.Join(left, "\n\n"))
				return
			}
		}
	})
}

// library is how the names of functions in the library's root begin.
const library = "github.com/fullduplex-go/websocket."

// goroutines returns the stacks that the library is part of.
func goroutines() (stacks []string) {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 4*len(buf))
	}
	for i, g := range strings.Split(string(buf), "\n\n") {
		if i > 0 && strings.Contains(g, library) {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// number is the goroutine's number, as "goroutine 7".
func number(stack string) string {
	n, _, _ := strings.Cut(stack, " [")
	return n
}

// descriptors counts the open descriptors of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc/self/fd: ", err)
	}
	return len(entries)
}

// wait waits until ch is closed or has a value. It fails the test, and names what it
// waited for, if that does not happen.
func wait[T any](t testing.TB, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v; the library's goroutines:\n%s", what, patience, strings.Join(goroutines(), "\n\n"))
	}
	return v
}

// until waits for a condition that no event announces.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// do calls f on a goroutine of its own and returns a channel with its result.
func do[T any](f func() T) <-chan T {
	ch := make(chan T, 1)
	go func() { ch <- f() }()
	return ch
}
