package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// The test program itself replaces wstest when it is started with this variable. The
// variable lists faults, separated by spaces:
//
//	extra                 it has one case more than it should
//	drop=ID               it says nothing about a case
//	say=ID=BEHAVIOR=CLOSE it judges a case so
//	nocode=ID             it has seen no status code
//	crash=ID              it dies in a case
//	hang=ID               it hangs in a case, with a child process
//	nolisten              it does not listen
//	sleep                 it is the child that hang means
const fakeVariable = "AUTOBAHN_TEST_WSTEST"

func TestMain(m *testing.M) {
	if faults, fake := os.LookupEnv(fakeVariable); fake {
		fakeWstest(strings.Fields(faults))
		return
	}
	os.Exit(m.Run())
}

// useFake makes the runner find the stand-in.
func useFake(t *testing.T, faults string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("WSTEST", self)
	t.Setenv(fakeVariable, faults)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would have it dawdle at the end
}

// fakeSuite is wstest at work.
type fakeSuite struct {
	faults []string
	cases  []string
	mu     sync.Mutex
	index  map[string]indexEntry
}

func fakeWstest(faults []string) {
	if os.Args[1] == "--autobahnversion" {
		fmt.Println("Autobahn 0.0.0\nAutobahnTestSuite 25.10.1")
		return
	}
	time.AfterFunc(time.Minute, func() { os.Exit(9) }) // if the test does not end it
	for slices.Contains(faults, "sleep") {
		fmt.Println("asleep")
		time.Sleep(time.Hour)
	}
	flags := flag.NewFlagSet("wstest", flag.ExitOnError)
	mode, spec := flags.String("m", "", ""), flags.String("s", "", "")
	flags.String("u", "8080", "")
	flags.Parse(os.Args[1:])
	p, err := os.ReadFile(*spec)
	check(err)
	var config struct {
		URL     string
		Servers []struct{ Agent, URL string }
		Cases   []string
	}
	check(json.Unmarshal(p, &config))
	s := &fakeSuite{faults: faults, cases: config.Cases, index: make(map[string]indexEntry)}
	if len(s.cases) == 1 && s.cases[0] == "*" {
		s.cases = allCases()
	}
	extra := len(s.cases)
	if s.has("extra") {
		extra++
	}
	if *mode == "fuzzingclient" {
		fmt.Printf("Ok, will run %d test cases against 1 servers\n", extra)
		for _, id := range s.cases {
			c, _, err := websocket.Dial(context.Background(), config.Servers[0].URL, nil)
			if err != nil {
				fmt.Printf("Connection to %s failed (%v)\n", config.Servers[0].URL, err)
				break
			}
			s.run(id, c)
		}
		s.writeReports()
		return
	}
	for s.has("nolisten") {
		time.Sleep(time.Hour)
	}
	fakeServer(s, config.URL, extra)
}

// fakeServer is the stand-in's fuzzing server.
func fakeServer(s *fakeSuite, address string, count int) {
	u, err := url.Parse(address)
	check(err)
	ln, err := net.Listen("tcp", u.Host)
	check(err)
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		ctx := context.Background()
		query := c.Request().URL.Query()
		number, _ := strconv.Atoi(query.Get("case"))
		switch c.Request().URL.Path {
		case "/getCaseCount":
			c.Write(ctx, websocket.Text, []byte(strconv.Itoa(count)))
		case "/runCase":
			s.run(s.cases[number-1], c)
		case "/getCaseStatus":
			c.Write(ctx, websocket.Text, []byte(`{"behavior": "OK"}`))
		case "/updateReports":
			s.writeReports()
			c.Close(websocket.StatusNormalClosure, "")
		}
	}}
	check(http.Serve(ln, ws))
}

// run is one case: a message has to come back.
func (s *fakeSuite) run(id string, c *websocket.Conn) {
	fmt.Printf("Running test case ID %s for agent %s from peer tcp4:127.0.0.1:1\n", id, agent)
	switch {
	case s.has("crash=" + id):
		fmt.Fprintln(os.Stderr, "Traceback: the snake has bitten itself")
		os.Exit(3)
	case s.has("hang=" + id):
		child := exec.Command(os.Args[0], os.Args[1:]...)
		child.Env = append(os.Environ(), fakeVariable+"=sleep")
		child.Stdout = os.Stdout // which is a pipe of the runner's
		child.Run()
	}
	ctx := context.Background()
	want := "echo of " + id
	check(c.Write(ctx, websocket.Text, []byte(want)))
	_, p, err := c.Read(ctx)
	check(err)
	// Last, because then the runner may ask for the reports.
	defer func() { check(c.Close(websocket.StatusNormalClosure, "")) }()
	o := expected(id)
	if string(p) != want {
		o.Behavior = failed
	}
	code := 1000
	entry := indexEntry{Behavior: o.Behavior, BehaviorClose: o.Close, CloseCode: &code, Duration: 7,
		ReportFile: "case_" + strings.ReplaceAll(id, ".", "_") + ".json"}
	for _, fault := range s.faults {
		parts := strings.Split(fault, "=")
		switch {
		case len(parts) < 2 || parts[1] != id:
		case parts[0] == "drop":
			return
		case parts[0] == "nocode":
			entry.CloseCode = nil
		case parts[0] == "say":
			entry.Behavior, entry.BehaviorClose = parts[2], parts[3]
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index[id] = entry
}

func (s *fakeSuite) writeReports() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.index {
		detail := map[string]string{"id": id, "result": "reason", "resultClose": "close reason"}
		if s.has("say=" + id + "=" + e.Behavior + "=" + e.BehaviorClose) {
			detail["result"], detail["resultClose"] = "reason of "+id, "close reason of "+id
		}
		p, err := json.Marshal(detail)
		check(err)
		check(os.WriteFile(e.ReportFile, p, 0o644))
	}
	p, err := json.Marshal(map[string]any{agent: s.index})
	check(err)
	check(os.WriteFile("index.json", p, 0o644))
}

func (s *fakeSuite) has(fault string) bool { return slices.Contains(s.faults, fault) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
}
