package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// greet is what is tested: it gives the peer a minute to say a name.
func greet(ctx context.Context, c *websocket.Conn) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, name, err := c.Read(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		c.Close(websocket.StatusPolicyViolation, "no name")
		return
	}
	c.Write(ctx, websocket.Text, append([]byte("hello, "), name...))
}

// testSilence waits for a minute that takes no time.
func testSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := websocket.Pipe()
		defer client.CloseNow()
		start := time.Now()
		go greet(t.Context(), server)
		_, _, err := client.Read(t.Context())
		if websocket.CloseCode(err) != websocket.StatusPolicyViolation {
			t.Errorf("a silent client ends with %v", err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("it was given %v", waited)
		}
	})
}

// A handler can be tested without a network. In a synctest bubble time goes by
// at once: there is a test of a silent client beside this one, which is called
// by a TestSilence(t *testing.T).
func ExamplePipe() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	go greet(context.Background(), server)

	client.Write(context.Background(), websocket.Text, []byte("ann"))
	_, data, err := client.Read(context.Background())
	fmt.Println(string(data), err)
	// Output:
	// hello, ann <nil>
}
