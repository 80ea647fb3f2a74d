package frameworks

import (
	"log"
	"net/http"

	"github.com/fullduplex-go/websocket"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// The code of docs/choosing.md with routers; docs compares it.

var _ = func() {
	r := chi.NewRouter()
	r.Use(middleware.Logger)
	r.Handle("/rooms/{room}", &websocket.Server{Handler: func(c *websocket.Conn) {
		room := chi.URLParam(c.Request(), "room")
		serveRoom(c, room)
	}})
	log.Fatal(http.ListenAndServe("localhost:8080", websocket.ShowStatus(r))) // the log shows 101

	g := gin.Default()
	g.GET("/rooms/:room", func(g *gin.Context) {
		c, err := websocket.Accept(g.Writer, g.Request, nil)
		if err != nil {
			return // answered
		}
		defer c.CloseNow()
		serveRoom(c, g.Param("room")) // g is another request's when this function has returned
	})
}

func serveRoom(c *websocket.Conn, room string) { log.Print(room, c.RemoteAddr()) }
