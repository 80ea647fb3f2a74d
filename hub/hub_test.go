package hub

import (
	"context"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestPublishOverPipe(t *testing.T) {
	h := New(&Options{Replay: 2})
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	for _, p := range []string{"1", "2", "3"} {
		if err := h.Publish("a", websocket.Text, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Subscribe("a", server, &SubscribeOptions{Replay: true}); err != nil {
		t.Fatal(err)
	}
	if err := h.Publish("a", websocket.Text, []byte("4")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2", "3", "4"} {
		_, p, err := client.Read(context.Background())
		if err != nil || string(p) != want {
			t.Fatalf("got %q, %v; want %q", p, err, want)
		}
	}
	if err := h.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}
