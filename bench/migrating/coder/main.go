// Command coder is a clock on coder/websocket that clients can set, with a client
// that sets it. docs/migrating-coder.md turns it into one on this library.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
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
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OriginPatterns: []string{"app.example.com"},
	})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(512)

	var s setting
	if err := wsjson.Read(r.Context(), c, &s); err != nil {
		log.Print(websocket.CloseStatus(err), err)
		return
	}
	ctx := c.CloseRead(r.Context())
	go func() { // to find out that the client is gone
		for ctx.Err() == nil {
			time.Sleep(30 * time.Second)
			ping, cancel := context.WithTimeout(ctx, 30*time.Second)
			if c.Ping(ping) != nil {
				c.CloseNow()
			}
			cancel()
		}
	}()
	for tick := range time.Tick(time.Second) {
		if err := write(ctx, c, tick.Add(s.Offset).String()); err != nil {
			return
		}
	}
}

// write gives a slow client ten seconds.
func write(ctx context.Context, c *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, []byte(text))
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
	for {
		_, text, err := c.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				return nil
			}
			return err
		}
		fmt.Println(string(text))
	}
}
