package wstest

import (
	"runtime"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen.
const patience = 10 * time.Second

// Receive returns what comes through ch, within a bound.
func Receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	return ReceiveFor(t, ch, "nothing came")
}

// ReceiveFor is Receive with the text for a failure.
func ReceiveFor[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("after %v: %s", patience, what)
	}
	return v
}

// Until waits for a condition that no event announces.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Eventually(t, ok, func() string { return "still not: " + what })
}

// Eventually is Until with a text for the failure that is made after the wait.
func Eventually(t testing.TB, ok func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(what())
		}
		runtime.Gosched()
		time.Sleep(50 * time.Microsecond)
	}
}
