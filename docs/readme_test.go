package docs

import (
	"context"
	"log"
	"net/http"

	"github.com/fullduplex-go/websocket"
)

// The code of README.md that no example has.

var _ = func() {
	http.Handle("/ws", &websocket.Server{Handler: func(c *websocket.Conn) {
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				log.Println(err)
				return
			}
			c.Write(c.Context(), msg.Type, msg.Data) // echo
		}
	}})
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

var _ = func(ctx context.Context) (websocket.MessageType, []byte, error) {
	c, _, err := websocket.Dial(ctx, "ws://localhost:8080/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(websocket.StatusNormalClosure, "")
	if err := c.Write(ctx, websocket.Text, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	typ, data, err := c.Read(ctx)
	return typ, data, err
}
