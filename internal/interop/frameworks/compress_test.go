package frameworks

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
)

// compressors serve h on /ws under what compresses responses.
var compressors = map[string]func(h http.Handler) http.Handler{
	"gin": func(h http.Handler) http.Handler {
		g := gin.New()
		g.Use(gingzip.Gzip(gingzip.DefaultCompression))
		g.GET("/ws", gin.WrapH(h))
		return g
	},
	"chi": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(chimiddleware.Compress(5))
		r.Handle("/ws", h)
		return r
	},
	"echo": func(h http.Handler) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		e.GET("/ws", echo.WrapHandler(h))
		return e
	},
	"gorilla": func(h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle("/ws", h)
		return handlers.CompressHandler(m)
	},
}

// proxied has the header Connection as a proxy spells it: nginx passes "upgrade"
// on, and gin's middleware takes only "Upgrade" for one.
func proxied(next http.Handler, connection string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			r.Header.Set("Connection", connection)
		}
		next.ServeHTTP(w, r)
	})
}

// TestCompressors: what compresses pages leaves a connection alone, whose client
// says that it understands gzip, as browsers do.
func TestCompressors(t *testing.T) {
	page := strings.Repeat("a page ", 500)
	s := &websocket.Server{Handler: func(c *websocket.Conn) {
		for m, err := range c.Messages(context.Background()) {
			if err != nil || c.Write(context.Background(), m.Type, m.Data) != nil {
				return
			}
		}
	}}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsUpgrade(r) {
			s.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	for name, compress := range compressors {
		for _, connection := range []string{"Upgrade", "upgrade", "keep-alive, Upgrade"} {
			t.Run(name+", "+connection, func(t *testing.T) {
				server := proxied(compress(h), connection)
				if name == "gin" && connection == "upgrade" { // it writes an end of its own behind the connection
					server = websocket.ShowStatus(server)
				}
				url, _ := serve(t, server)
				accepts := http.Header{"Accept-Encoding": {"gzip, deflate, br, zstd"}}
				c, resp, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{Header: accepts})
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Type"} {
					if v := resp.Header[name]; v != nil {
						t.Errorf("the 101 has %s: %q", name, v)
					}
				}
				if err := c.Write(t.Context(), websocket.Text, []byte(page)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(t.Context()); err != nil || string(p) != page {
					t.Errorf("%d bytes came back, %v", len(p), err)
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}

				r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/ws", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = accepts
				got, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer got.Body.Close()
				body, err := gzip.NewReader(got.Body) // so the middleware was at work
				if err != nil {
					t.Fatal(err)
				}
				if p, err := io.ReadAll(body); err != nil || string(p) != page {
					t.Errorf("a page of %d bytes, %v", len(p), err)
				}
			})
		}
	}
}
