package frameworks

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/urfave/negroni/v3"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// output is the writer of the loggers.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// userKey is where the middleware of the tests puts the user, taken from the URL.
type userKey struct{}

// framework is a router with what people put around it.
type framework struct {
	name string
	// handler serves h under /rooms/{room}; what is logged goes to out.
	handler func(h http.Handler, out *output) http.Handler
	// room and user come from the router and the middleware.
	room func(c *websocket.Conn) string
	user func(c *websocket.Conn) string
	// status is how the log shows the status 101.
	status string
	// byItself tells that it does without ShowStatus.
	byItself bool
}

func ctxUser(c *websocket.Conn) string {
	user, _ := c.Context().Value(userKey{}).(string)
	return user
}

// withUser is middleware of net/http's kind.
func withUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, r.URL.Query().Get("user"))))
	})
}

func init() { gin.SetMode(gin.ReleaseMode) }

func newGin(h http.Handler, out *output) http.Handler {
	g := gin.New()
	g.ContextWithFallback = true
	g.Use(gin.LoggerWithConfig(gin.LoggerConfig{Output: out}), gin.RecoveryWithWriter(out))
	g.Use(func(c *gin.Context) { c.Set("user", c.Query("user")) })
	g.GET("/rooms/:room", func(c *gin.Context) {
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), ginKey{}, c)) // as those do that need gin's values later
		h.ServeHTTP(c.Writer, r)
	})
	return g
}

type ginKey struct{}

func ginContext(c *websocket.Conn) *gin.Context {
	g, _ := c.Request().Context().Value(ginKey{}).(*gin.Context)
	return g
}

func newChi(h http.Handler, out *output) http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.RequestID, chimiddleware.RealIP,
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(out, "", 0), NoColor: true}),
		chimiddleware.Recoverer, chimiddleware.Timeout(time.Minute), chimiddleware.Compress(5), withUser)
	r.Handle("/rooms/{room}", h)
	return r
}

var echoKey = "echo"

func newEcho(h http.Handler, out *output) http.Handler {
	e := echo.New()
	e.Use(echomiddleware.LoggerWithConfig(echomiddleware.LoggerConfig{Format: "status ${status}\n", Output: out}), echomiddleware.Recover(), echomiddleware.Gzip())
	e.GET("/rooms/:room", func(c echo.Context) error {
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), &echoKey, c)))
		c.Set("user", c.QueryParam("user"))
		h.ServeHTTP(c.Response(), c.Request())
		return nil
	})
	return e
}

func echoContext(c *websocket.Conn) echo.Context {
	e, _ := c.Context().Value(&echoKey).(echo.Context)
	return e
}

func newMux(h http.Handler, out *output) http.Handler {
	r := mux.NewRouter()
	r.Use(withUser)
	r.Handle("/rooms/{room}", h)
	return handlers.CombinedLoggingHandler(out, handlers.RecoveryHandler(handlers.RecoveryLogger(log.New(out, "", 0)))(handlers.CompressHandler(r)))
}

func newNegroni(h http.Handler, out *output) http.Handler {
	m := http.NewServeMux()
	m.Handle("/rooms/{room}", withUser(h))
	n := negroni.New()
	logger := negroni.NewLogger()
	logger.ALogger = log.New(out, "", 0)
	n.Use(logger)
	n.Use(negroni.NewRecovery())
	n.UseHandler(m)
	return n
}

// newOtel writes each span's status to out when it ends.
func newOtel(h http.Handler, out *output) http.Handler {
	m := http.NewServeMux()
	m.Handle("/rooms/{room}", withUser(h))
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	inner := otelhttp.NewHandler(m, "server", otelhttp.WithTracerProvider(provider))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		for _, span := range exporter.GetSpans() {
			for _, a := range span.Attributes {
				if a.Key == "http.response.status_code" {
					io.WriteString(out, "status "+a.Value.Emit()+"\n")
				}
			}
		}
	})
}

func pathRoom(c *websocket.Conn) string { return c.Request().PathValue("room") }

var frameworks = []framework{
	{"gin", newGin, func(c *websocket.Conn) string { return ginContext(c).Param("room") },
		func(c *websocket.Conn) string { return ginContext(c).GetString("user") }, "| 101 |", true},
	{"chi", newChi, func(c *websocket.Conn) string { return chi.URLParam(c.Request(), "room") }, ctxUser, " - 101 ", false},
	{"echo", newEcho, func(c *websocket.Conn) string { return echoContext(c).Param("room") },
		func(c *websocket.Conn) string { user, _ := echoContext(c).Get("user").(string); return user }, "status 101", false},
	{"gorilla", newMux, func(c *websocket.Conn) string { return mux.Vars(c.Request())["room"] }, ctxUser, `" 101 `, false},
	{"negroni", newNegroni, pathRoom, ctxUser, "| 101 |", false},
	{"otelhttp", newOtel, pathRoom, ctxUser, "status 101", false},
}

// serve serves h, and returns its URL, what net/http complains about, and what
// ends it, when all requests are over.
func serve(t *testing.T, h http.Handler) (url string, complaints *output) {
	t.Helper()
	complaints = new(output)
	web := httptest.NewUnstartedServer(h)
	web.Config.ErrorLog = log.New(complaints, "", 0)
	web.Start()
	t.Cleanup(func() {
		web.Close()
		if s := complaints.String(); s != "" {
			t.Errorf("net/http complains: %s", s)
		}
	})
	return web.URL, complaints
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// answer sends what the router says about c for each message.
func (f framework) answer(c *websocket.Conn) {
	for range c.Messages(context.Background()) {
		if c.Write(context.Background(), websocket.Text, []byte(f.room(c)+" "+f.user(c))) != nil {
			return
		}
	}
}

// TestRequestValues: what a router says about a connection is right as long as it
// lives, whatever other requests come.
func TestRequestValues(t *testing.T) {
	const n = 50
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			s := &websocket.Server{Handler: f.answer}
			url, _ := serve(t, f.handler(s, new(output)))
			defer s.Close()
			var conns []*websocket.Conn
			var want []string
			for i := range n {
				room, user := strings.Repeat("r", i+1), strings.Repeat("u", n-i)
				conns = append(conns, dial(t, url+"/rooms/"+room+"?user="+user))
				want = append(want, room+" "+user)
			}
			for range 3 {
				for range 10 { // requests that take what lies in a pool
					resp, err := http.Get(url + "/rooms/other?user=other")
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
				}
				for i, c := range conns {
					if err := c.Write(t.Context(), websocket.Text, []byte("who am I?")); err != nil {
						t.Fatal(err)
					}
					if _, p, err := c.Read(t.Context()); err != nil || string(p) != want[i] {
						t.Fatalf("connection %d is %q, %v, want %q", i, p, err, want[i])
					}
				}
			}
		})
	}
}

// events answers as framework.answer does, by what OnOpen has found out.
type events struct {
	f     framework
	known sync.Map // from *websocket.Conn to string
	late  func(c *websocket.Conn)
}

func (e *events) OnOpen(c *websocket.Conn) { e.known.Store(c, e.f.room(c)+" "+e.f.user(c)) }

func (e *events) OnMessage(c *websocket.Conn, typ websocket.MessageType, _ []byte) {
	e.late(c)
	s, _ := e.known.Load(c)
	c.Write(context.Background(), typ, []byte(s.(string))) // the client sees it if that fails
}

func (e *events) OnClose(c *websocket.Conn, _ error) { e.known.Delete(c) }

// TestRequestValuesEvents: OnOpen runs inside the request, and later events cannot
// reach what belongs to it.
func TestRequestValuesEvents(t *testing.T) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			l, err := websocket.NewLoop(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			e := &events{f: f, late: func(c *websocket.Conn) {
				ctx, r := c.Context(), c.Request()
				if ctx.Value(userKey{}) != nil || ctx.Value(ginKey{}) != nil || ctx.Value(&echoKey) != nil ||
					chi.RouteContext(r.Context()) != nil || mux.Vars(r) != nil || ginContext(c) != nil {
					t.Error("values of the request in OnMessage")
				}
				if r.URL.Query().Get("user") == "" {
					t.Errorf("the URL is %v", r.URL)
				}
			}}
			s := &websocket.Server{Events: e, Loop: l}
			url, _ := serve(t, f.handler(s, new(output)))
			for i := range 20 {
				room, user := strings.Repeat("r", i+1), strings.Repeat("u", 20-i)
				c := dial(t, url+"/rooms/"+room+"?user="+user)
				if err := c.Write(t.Context(), websocket.Text, nil); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(t.Context()); err != nil || string(p) != room+" "+user {
					t.Errorf("connection %d is %q, %v", i, p, err)
				}
			}
		})
	}
}

// TestStatus: access logs and traces show 101, with ShowStatus where they need it,
// and net/http has nothing to complain about.
func TestStatus(t *testing.T) {
	for _, f := range frameworks {
		for _, show := range []bool{false, true} {
			t.Run(f.name, func(t *testing.T) {
				out := new(output)
				s := &websocket.Server{Handler: func(*websocket.Conn) {}}
				h := f.handler(s, out)
				if show {
					h = websocket.ShowStatus(h)
				}
				url, _ := serve(t, h)
				c := dial(t, url+"/rooms/a?user=b")
				if _, _, err := c.Read(t.Context()); websocket.CloseCode(err) != websocket.StatusNormalClosure {
					t.Errorf("the connection ended with %v", err)
				}
				until(t, "a line in the log", func() bool { return out.String() != "" })
				if got := strings.Contains(out.String(), f.status); got != (show || f.byItself) {
					t.Errorf("with ShowStatus %v the log says %q", show, out)
				}
				resp, err := http.Get(url + "/rooms/a") // no handshake
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusUpgradeRequired {
					t.Errorf("a page got status %d", resp.StatusCode)
				}
				until(t, "426 in the log", func() bool { return strings.Contains(out.String(), "426") })
			})
		}
	}
}

// TestPanic: a panic in Handler ends its connection with 1011 and is logged once,
// by us: what recovers outside is not bothered.
func TestPanic(t *testing.T) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			out, logged := new(output), new(output)
			s := &websocket.Server{Handler: func(*websocket.Conn) { panic("boom") }}
			s.Logger = slog.New(slog.NewTextHandler(logged, nil))
			url, _ := serve(t, f.handler(s, out))
			for range 2 {
				c := dial(t, url+"/rooms/a?user=b")
				if _, _, err := c.Read(t.Context()); websocket.CloseCode(err) != websocket.StatusInternalError {
					t.Errorf("the connection ended with %v", err)
				}
			}
			if n := strings.Count(logged.String(), "panic=boom"); n != 2 || strings.Contains(out.String(), "boom") {
				t.Errorf("%d panics in our log, and outside: %q", n, out)
			}
		})
	}
}
