// Command coder is the clock of bench/migrating/coder on this library.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/wsjson"
)

type setting struct{ Offset time.Duration }

func main() {
	if len(os.Args) > 1 {
		if err := set(os.Args[1], time.Hour); err != nil {
			log.Fatal(err)
		}
		return
	}
	http.HandleFunc("/clock", clock)
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

// clock waits for a setting, and then only writes.
func clock(w http.ResponseWriter, r *http.Request) {
	opts := &websocket.AcceptOptions{
		OriginPatterns: []string{"app.example.com"},
	}
	opts.ReadLimit = 512
	opts.WriteTimeout = 10 * time.Second
	c, err := websocket.Accept(w, r, opts)
	if err != nil {
		return
	}
	defer c.CloseNow()

	var s setting
	if err := wsjson.Read(r.Context(), c, &s); err != nil {
		log.Print(websocket.CloseCode(err), err)
		return
	}
	ctx := c.CloseRead(r.Context())
	for tick := range time.Tick(time.Second) {
		if err := c.Write(ctx, websocket.Text, []byte(tick.Add(s.Offset).String())); err != nil {
			return
		}
	}
}

// set sets the clock and prints what it says.
func set(url string, offset time.Duration) error {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if err := wsjson.Write(ctx, c, setting{offset}); err != nil {
		return err
	}
	for msg, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Println(string(msg.Data))
	}
	return nil
}
