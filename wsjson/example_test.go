package wsjson_test

import (
	"context"
	"fmt"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/wsjson"
)

func Example() {
	type move struct {
		Piece string `json:"piece"`
		To    string `json:"to"`
	}
	ctx := context.Background()
	client, server := websocket.Pipe() // or Dial and Accept
	defer server.CloseNow()

	go func() {
		wsjson.Write(ctx, client, move{Piece: "knight", To: "f3"})
		client.Close(websocket.StatusNormalClosure, "")
	}()
	for {
		var m move
		if err := wsjson.Read(ctx, server, &m); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Piece, "to", m.To)
	}
	// Output:
	// knight to f3
	// websocket: closed by the peer with 1000 (normal closure)
}
