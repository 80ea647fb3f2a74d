//go:build interop

package interop

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// direction holds the negotiated parameters for the messages of one side.
type direction struct {
	takeover bool
	bits     int // of the window
}

// negotiations are tried with every peer, in both roles: the wishes of both sides, and
// the result.
var negotiations = []struct {
	name           string
	ours           websocket.CompressionOptions
	peers          string // parameters, for its script
	server, client direction
	// The parameters in the answer, for either side as server; "-" where the peers
	// cannot: zlib does not compress within a window of 256 bytes.
	weAnswer, peerAnswers string
}{
	{
		"defaults", websocket.CompressionOptions{}, `{}`,
		direction{true, 15}, direction{true, 15}, "", "",
	},
	{
		"we want no takeover", websocket.CompressionOptions{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, `{}`,
		direction{false, 15}, direction{false, 15},
		"client_no_context_takeover server_no_context_takeover",
		"client_no_context_takeover server_no_context_takeover",
	},
	{
		"peer wants no takeover", websocket.CompressionOptions{},
		`{"server_no_context_takeover": true, "client_no_context_takeover": true}`,
		direction{false, 15}, direction{false, 15},
		"client_no_context_takeover server_no_context_takeover",
		"client_no_context_takeover server_no_context_takeover",
	},
	{
		"takeover by the server only", websocket.CompressionOptions{ClientNoContextTakeover: true}, `{}`,
		direction{true, 15}, direction{false, 15},
		"client_no_context_takeover", "client_no_context_takeover",
	},
	{
		"we want small windows", websocket.CompressionOptions{WindowBits: 9}, `{}`,
		direction{true, 9}, direction{true, 9},
		"client_max_window_bits=9", // a server need not announce its own
		"client_max_window_bits=9 server_max_window_bits=9",
	},
	{
		"peer wants small windows", websocket.CompressionOptions{},
		`{"server_max_window_bits": 9, "client_max_window_bits": 10}`,
		direction{true, 9}, direction{true, 10},
		"client_max_window_bits=10 server_max_window_bits=9",
		"client_max_window_bits=10 server_max_window_bits=9",
	},
	{
		"peer wants the smallest window", websocket.CompressionOptions{},
		`{"server_max_window_bits": 8}`,
		direction{true, 8}, direction{true, 15},
		"server_max_window_bits=8", "-",
	},
	{
		"small windows without takeover", websocket.CompressionOptions{WindowBits: 10, ServerNoContextTakeover: true},
		`{"client_no_context_takeover": true}`,
		direction{false, 10}, direction{false, 10},
		"client_max_window_bits=10 client_no_context_takeover server_no_context_takeover",
		"client_max_window_bits=10 client_no_context_takeover server_max_window_bits=10 server_no_context_takeover",
	},
	{
		"little memory, hard work", websocket.CompressionOptions{MemoryBudget: 16384, Level: 9, Threshold: -1}, `{}`,
		direction{true, 11}, direction{true, 11},
		"client_max_window_bits=11", "client_max_window_bits=11 server_max_window_bits=11",
	},
}

// checkAnswer fails the test if header is not permessage-deflate with these
// parameters, which are given in order.
func checkAnswer(t *testing.T, header, want string) {
	t.Helper()
	name, rest, _ := strings.Cut(header, ";")
	params := strings.FieldsFunc(rest, func(r rune) bool { return r == ';' || r == ' ' })
	slices.Sort(params)
	if got := strings.Join(params, " "); name != "permessage-deflate" || got != want {
		t.Fatalf("the server's answer is %q, want permessage-deflate with %q", header, want)
	}
}

// Ours is the server.
func TestCompressionServer(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		for _, a := range negotiations {
			t.Run(a.name, func(t *testing.T) {
				s := startCompressServer(t, a.ours)
				client := p.start(t, "compress-client", s.url, a.peers)
				c := s.accept(t)
				checkAnswer(t, strings.TrimPrefix(client.line(t), "answer "), a.weAnswer)
				s.log.exchangeAll(t, c, true, a.server, a.client)
				if err := client.wait(); err != nil {
					t.Errorf("client script: %v", err)
				}
			})
		}
	})
}

// Ours is the client.
func TestCompressionClient(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		for _, a := range negotiations {
			if a.peerAnswers == "-" {
				continue
			}
			t.Run(a.name, func(t *testing.T) {
				server := p.start(t, "compress-server", a.peers)
				tr, c := dialCompressed(t, server.url(t), a.ours, a.peerAnswers, websocket.DialOptions{})
				tr.exchangeAll(t, c, true, a.client, a.server)
			})
		}
	})
}

// A proxy passes the negotiation on.
func TestCompressionNginx(t *testing.T) {
	s := startCompressServer(t, websocket.CompressionOptions{WindowBits: 12})
	proxy := startNginx(t, s.url, time.Minute)
	for name, url := range map[string]string{"ws": proxy.url, "wss": proxy.wss} {
		t.Run(name, func(t *testing.T) {
			tr, c := dialCompressed(t, url, websocket.CompressionOptions{ClientNoContextTakeover: true},
				"client_max_window_bits=12 client_no_context_takeover", websocket.DialOptions{HTTPClient: proxy.http})
			server := s.accept(t)
			go echoCompressed(testContext(t), server)
			tr.exchangeAll(t, c, true, direction{false, 12}, direction{true, 12})
		})
	}
}

// compressServer is our server. The test uses its connections.
type compressServer struct {
	url   string
	conns chan *websocket.Conn
	log   *frameLog // of all connections
}

func startCompressServer(t *testing.T, o websocket.CompressionOptions) *compressServer {
	t.Helper()
	s := &compressServer{conns: make(chan *websocket.Conn), log: new(frameLog)}
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		select {
		case s.conns <- c:
			<-c.Context().Done()
		case <-c.Context().Done():
		}
	}}
	ws.Compression = &o
	ws.ReadLimit = 32 << 20
	ws.OriginPatterns = []string{"*"}
	ws.Trace = s.log.trace()
	server := httptest.NewServer(ws)
	t.Cleanup(func() {
		ws.Close()
		server.Close()
	})
	s.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/"
	return s
}

// accept returns the next connection.
func (s *compressServer) accept(t *testing.T) *websocket.Conn {
	t.Helper()
	select {
	case c := <-s.conns:
		t.Cleanup(func() { c.CloseNow() })
		return c
	case <-testContext(t).Done():
		t.Fatal("no client has come")
		return nil
	}
}

// dialCompressed connects, and expects these parameters in the answer.
func dialCompressed(t *testing.T, url string, o websocket.CompressionOptions, answer string, opts websocket.DialOptions) (*frameLog, *websocket.Conn) {
	t.Helper()
	tr := new(frameLog)
	opts.Compression = &o
	opts.ReadLimit = 32 << 20
	opts.Trace = tr.trace()
	c, resp, err := websocket.Dial(testContext(t), url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	checkAnswer(t, resp.Header.Get("Sec-WebSocket-Extensions"), answer)
	return tr, c
}
