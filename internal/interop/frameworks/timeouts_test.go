package frameworks

import (
	"context"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	gingzip "github.com/gin-contrib/gzip"
	gintimeout "github.com/gin-contrib/timeout"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
)

// TestTimeouts: where a middleware answers in the handler's place, the error names
// it and says what to do.
func TestTimeouts(t *testing.T) {
	browser := &websocket.DialOptions{Header: http.Header{"Accept-Encoding": {"gzip"}}}
	accept := func(outcomes chan error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, err := websocket.Accept(w, r, nil)
			outcomes <- err
		}
	}
	for name, tt := range map[string]struct {
		build func(h http.Handler) http.Handler
		want  []string
	}{
		"net/http": {func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
			[]string{"http.TimeoutHandler", "take this route out of it"}},
		"echo": {func(h http.Handler) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.TimeoutWithConfig(echomiddleware.TimeoutConfig{Timeout: time.Minute}))
			e.GET("/", echo.WrapHandler(h))
			return e
		}, []string{"Timeout", "take this route out of it"}},
		"gin-contrib": {func(h http.Handler) http.Handler {
			g := gin.New()
			g.Use(gintimeout.New(gintimeout.WithTimeout(time.Minute)))
			g.GET("/", gin.WrapH(h))
			return g
		}, []string{"*timeout.Writer", "take this route out of the middleware of package github.com/gin-contrib/timeout"}},
		"gin-contrib, under gzip": {func(h http.Handler) http.Handler {
			g := gin.New()
			g.Use(gintimeout.New(gintimeout.WithTimeout(time.Minute)), gingzip.Gzip(gingzip.DefaultCompression))
			g.GET("/", gin.WrapH(h))
			return proxied(g, "upgrade")
		}, []string{"*timeout.Writer", "take this route out of the middleware of package github.com/gin-contrib/timeout"}},
		"gin": {func(h http.Handler) http.Handler {
			g := gin.New()
			g.GET("/", gin.WrapH(h))
			return http.TimeoutHandler(g, time.Minute, "")
		}, []string{"http.TimeoutHandler", "take this route out of it"}},
	} {
		t.Run(name, func(t *testing.T) {
			outcomes := make(chan error, 1)
			url, _ := serve(t, tt.build(accept(outcomes)))
			if c, resp, err := websocket.Dial(t.Context(), url, browser); err == nil || resp == nil || resp.StatusCode != 500 {
				t.Errorf("dialled %v, %v", c, err)
			}
			err := <-outcomes
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

// TestChiTimeout: a connection outlives the context of chi's Timeout middleware, and
// the 504 that this sends in the end goes no further than to ShowStatus.
func TestChiTimeout(t *testing.T) {
	out := new(output)
	r := chi.NewRouter()
	r.Use(chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(out, "", 0), NoColor: true}), chimiddleware.Timeout(time.Millisecond))
	r.Handle("/", &websocket.Server{Handler: func(c *websocket.Conn) {
		<-c.Request().Context().Value(outsideKey{}).(context.Context).Done()
		if c.Context().Err() != nil {
			t.Error("the connection's context has ended")
		}
	}})
	keep := func(next http.Handler) http.Handler { // the context that ends
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, outsideKey{}, ctx)))
		})
	}
	url, _ := serve(t, websocket.ShowStatus(keep(r)))
	c := dial(t, url)
	if _, _, err := c.Read(t.Context()); websocket.CloseCode(err) != websocket.StatusNormalClosure {
		t.Errorf("the connection ended with %v", err)
	}
	until(t, "a line in the log", func() bool { return out.String() != "" })
	if !strings.Contains(out.String(), " - 101 ") {
		t.Errorf("the log says %q", out)
	}
}

type outsideKey struct{}

// TestTooLate: gin, chi and negroni can tell that a response has begun.
func TestTooLate(t *testing.T) {
	for _, f := range frameworks {
		if f.name != "gin" && f.name != "chi" && f.name != "negroni" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			outcomes := make(chan error, 1)
			url, _ := serve(t, f.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusAccepted)
				w.(http.Flusher).Flush()
				_, err := websocket.Accept(w, r, nil)
				outcomes <- err
			}), new(output)))
			if c, resp, err := websocket.Dial(t.Context(), url+"/rooms/a", nil); err == nil || resp == nil || resp.StatusCode != http.StatusAccepted {
				t.Errorf("dialled %v, %v", c, err)
			}
			if err := <-outcomes; err == nil || !strings.Contains(err.Error(), "has begun a response") {
				t.Errorf("%v", err)
			}
		})
	}
}
