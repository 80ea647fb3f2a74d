//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/browser"
)

// ending is how a connection has ended for a peer.
type ending struct {
	Code   websocket.StatusCode
	Reason string
	Clean  bool // the closing handshake was completed
}

// endingAction is an action of a peer on its connections; see testdata/endings.js.
type endingAction struct {
	Close   *[]any `json:"close,omitempty"`
	Behind  int    `json:"behind,omitempty"`
	Send    string `json:"send,omitempty"`
	Invalid bool   `json:"invalid,omitempty"`
	Large   int    `json:"large,omitempty"`
}

// endingQuestion asks a peer to open connections and to act on each of them.
type endingQuestion struct {
	ID     int          `json:"id"`
	URL    string       `json:"url"`
	Action endingAction `json:"action"`
	Count  int          `json:"count"`
}

type endingAnswer struct {
	ID   int
	Ends []ending
}

// endingPeer tells how its connections end. It can be asked by several
// goroutines at a time.
type endingPeer interface {
	ask(ctx context.Context, q endingQuestion) ([]ending, error)
}

// endingPage is a page in a browser.
type endingPage struct{ browser.Page }

// openEndings opens the page that has testdata/endings.js.
func openEndings(t *testing.T, b browser.Browser) endingPeer {
	t.Helper()
	files := http.FileServer(http.Dir("testdata"))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<!doctype html><script src="endings.js"></script>`)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	ctx := testContext(t)
	page, err := b.OpenPage(ctx, site.URL)
	if err != nil {
		t.Fatal(err)
	}
	err = page.Eval(ctx, `new Promise((resolve) => {
		if (document.readyState === "complete") resolve(); else addEventListener("load", resolve);
	})`, nil)
	if err != nil {
		t.Fatal(err)
	}
	return endingPage{page}
}

func (p endingPage) ask(ctx context.Context, q endingQuestion) ([]ending, error) {
	question, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	var a endingAnswer
	err = p.Eval(ctx, fmt.Sprintf("endings(WebSocket, %s)", question), &a)
	return a.Ends, err
}

// endingProgram is a script that reads questions and prints answers.
type endingProgram struct {
	stdin io.Writer

	mu      sync.Mutex // guards the fields below, and writing
	lastID  int
	waiting map[int]chan<- []ending // nil when the program has ended
}

// startEndings starts testdata/endings of a language. It trusts the certificate
// in dir.
func startEndings(t *testing.T, p peer, dir string) endingPeer {
	t.Helper()
	cert := filepath.Join(dir, "cert.pem")
	ctx, cancel := context.WithTimeout(context.Background(), endingTime) // t's own ends before the clean-up
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, p.interpreter(t), filepath.Join("testdata", "endings"+p.extension), cert)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+cert)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &endingProgram{stdin: stdin, waiting: make(map[int]chan<- []ending)}
	read := make(chan error, 1)
	go func() { read <- e.read(stdout) }()
	t.Cleanup(func() {
		stdin.Close() // it ends when there is nothing more to read
		if err := <-read; err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("endings%s: %v", p.extension, err)
		}
	})
	return e
}

// read hands out the answers.
func (e *endingProgram) read(stdout io.Reader) error {
	var err error
	in := bufio.NewScanner(stdout)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var a endingAnswer
		if err = json.Unmarshal(in.Bytes(), &a); err != nil {
			err = fmt.Errorf("%w in %q", err, in.Text())
			break
		}
		e.mu.Lock()
		e.waiting[a.ID] <- a.Ends // has room for one
		delete(e.waiting, a.ID)
		e.mu.Unlock()
	}
	if err == nil {
		err = in.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, answer := range e.waiting {
		close(answer)
	}
	e.waiting = nil
	return err
}

func (e *endingProgram) ask(ctx context.Context, q endingQuestion) ([]ending, error) {
	answer := make(chan []ending, 1)
	if err := e.send(q, answer); err != nil {
		return nil, err
	}
	select {
	case ends, ok := <-answer:
		if !ok {
			return nil, errEnded
		}
		return ends, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

var errEnded = fmt.Errorf("the script has ended")

// send sends a question, whose answer goes to answer.
func (e *endingProgram) send(q endingQuestion, answer chan<- []ending) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == nil {
		return errEnded
	}
	e.lastID++
	q.ID = e.lastID
	e.waiting[q.ID] = answer
	return json.NewEncoder(e.stdin).Encode(q)
}
