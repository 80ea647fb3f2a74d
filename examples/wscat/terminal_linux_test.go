package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/fullduplex-go/websocket"
)

// openPTY returns a terminal: the program's end, and the user's.
func openPTY(t *testing.T) (program, user *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program, user
}

// In a terminal the line can be edited, and earlier ones come back. The peer's text
// cannot control the terminal.
func TestTerminal(t *testing.T) {
	program, user := openPTY(t)
	before, err := term.GetState(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	url := serve(t, func(c *websocket.Conn) {
		for msg, err := range c.Messages(t.Context()) {
			if err != nil {
				return
			}
			lines <- string(msg.Data)
			if err := c.Write(t.Context(), websocket.Text, append([]byte("got \x1b[2J"), msg.Data...)); err != nil {
				return
			}
		}
	})
	// The screen is read all the time, for a terminal holds little.
	var screen buffer
	go io.Copy(&screen, user) // ends with an error, as terminals do
	code := make(chan int, 1)
	go func() { code <- run(t.Context(), []string{"-wait", "0s", url}, program, program, program) }()
	// Keys that are typed before the program listens are treated in another way.
	waitFor(t, &screen, prompt)

	const left, up, ctrlA, ctrlD = "\x1b[D", "\x1b[A", "\x01", "\x04"
	for _, line := range []struct{ typed, want string }{
		{"helo" + left + "l\r", "hello"},
		{up + "!\r", "hello!"},
		{up + up + "?\r", "hello?"},
		{"world" + ctrlA + "the \r", "the world"},
		{"grüße 日本\x7f\r", "grüße 日"},
	} {
		if _, err := user.WriteString(line.typed); err != nil {
			t.Fatal(err)
		}
		if got := <-lines; got != line.want {
			t.Errorf("%q became %q, want %q", line.typed, got, line.want)
		}
		waitFor(t, &screen, "got ␛[2J"+line.want+"\r\n")
	}
	if _, err := user.WriteString(ctrlD); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	waitFor(t, &screen, "closed with 1000 (normal closure)")
	after, err := term.GetState(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was left in another state:\n%+v\n%+v", before, after)
	}
}

// waitFor waits until something is on the screen.
func waitFor(t *testing.T, screen *buffer, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(screen.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not on the screen:\n%q", text, screen)
		}
	}
}
