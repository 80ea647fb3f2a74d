package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sampleIndex is how the suite writes it.
const sampleIndex = `{
   "fullduplex-go/websocket": {
      "6.4.1": {
         "behavior": "OK",
         "behaviorClose": "OK",
         "duration": 1005,
         "remoteCloseCode": 1007,
         "reportfile": "fullduplex_go_websocket_case_6_4_1.json"
      },
      "7.3.1": {
         "behavior": "OK",
         "behaviorClose": "OK",
         "duration": 2,
         "remoteCloseCode": null,
         "reportfile": "fullduplex_go_websocket_case_7_3_1.json"
      }
   }
}`

func TestParseIndex(t *testing.T) {
	for _, tt := range []struct {
		name, index, asked string
		entries            int
		want               string // in the error
	}{
		{"good", sampleIndex, "6.4.1 7.3.1", 2, ""},
		{"one is missing", sampleIndex, "6.4.1 7.3.1 7.3.2", 2, ""}, // collect finds that
		{"one too many", sampleIndex, "6.4.1", 1, "case 7.3.1, which was not asked for"},
		{"somebody else", strings.Replace(sampleIndex, agent, "UnknownServer", 1), "6.4.1 7.3.1", 0, `"UnknownServer"`},
		{"nobody", `{}`, "6.4.1", 0, "no results of ours"},
		{"none", `{"fullduplex-go/websocket": {}}`, "6.4.1", 0, ""},
		{"empty", ``, "6.4.1", 0, "index.json: "},
		{"cut short", sampleIndex[:200], "6.4.1", 0, "index.json: "},
		{"not of this form", `[1, 2]`, "6.4.1", 0, "index.json: "},
	} {
		entries, err := parseIndex([]byte(tt.index), strings.Fields(tt.asked))
		if len(entries) != tt.entries || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %d entries, %v", tt.name, len(entries), err)
		}
	}
}

func TestResults(t *testing.T) {
	root := t.TempDir()
	s := &shard{cases: []string{"6.4.1", "7.3.1"}, dir: "server/shard-1", root: root}
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(s.path(""), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.results(); err == nil || !strings.Contains(err.Error(), "no index.json") {
		t.Errorf("without an index: %v", err)
	}
	write("index.json", sampleIndex)
	write("fullduplex_go_websocket_case_6_4_1.json", `{"id": "6.4.1", "result": "Actual events match at least one expected.", "resultClose": "Connection was properly closed", "case": 74}`)
	found, err := s.results()
	if len(found) != 2 || err == nil || !strings.Contains(err.Error(), "report of case 7.3.1") {
		t.Errorf("without the report of a case: %d results, %v", len(found), err)
	}
	write("fullduplex_go_websocket_case_7_3_1.json", `{"id": "7.3.2"}`)
	if _, err := s.results(); err == nil || !strings.Contains(err.Error(), `it is about case "7.3.2"`) {
		t.Errorf("with the report of another case: %v", err)
	}
	write("fullduplex_go_websocket_case_7_3_1.json", `{"id": "7.3.1", "result": "r", "resultClose": "c"}`)
	found, err = s.results()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]result{
		"6.4.1": {"6.4.1", outcome{ok, ok}, "Actual events match at least one expected.", "Connection was properly closed", 1007,
			1005 * time.Millisecond, "server/shard-1/fullduplex_go_websocket_case_6_4_1.html"},
		"7.3.1": {"7.3.1", outcome{ok, ok}, "r", "c", 0, 2 * time.Millisecond, "server/shard-1/fullduplex_go_websocket_case_7_3_1.html"},
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("got %+v", found)
	}
}

func TestConfigure(t *testing.T) {
	s := &shard{cases: []string{"1.1.1", "6.4.4"}, dir: ".", root: t.TempDir()}
	for name, changes := range map[string]map[string]any{
		"fuzzingserver": {"url": "ws://127.0.0.1:7"},
		"fuzzingclient": {"servers": []map[string]string{{"agent": agent, "url": "ws://127.0.0.1:7"}}},
	} {
		if err := s.configure(name, changes); err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := json.Unmarshal([]byte(tail(s.path("config.json"), 1000)), &config); err != nil {
			t.Fatal(err)
		}
		if text, _ := json.Marshal(config); !strings.Contains(string(text), `"cases":["1.1.1","6.4.4"]`) ||
			!strings.Contains(string(text), `"ws://127.0.0.1:7"`) || config["outdir"] != "." || strings.Contains(string(text), "9001") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestCaseInLine(t *testing.T) {
	for line, want := range map[string]string{
		"Running test case ID 6.22.34 for agent us from peer tcp4:127.0.0.1:54704": "6.22.34",
		"Running test case ID ":            "",
		"Ok, will run 2 test cases":        "",
		"Cases = ['1.1.1']":                "",
		" Running test case ID 1.1.1 for ": "",
	} {
		if got, found := caseInLine(line); got != want || found != (want != "") {
			t.Errorf("%q: %q, %v", line, got, found)
		}
	}
}

func TestClaimReportDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // a new one, then our own
		got, err := prepareReportDir(dir, []string{"server"})
		if err != nil || got != dir {
			t.Fatal(got, err)
		}
		for _, side := range []string{"server", "client"} {
			if err := os.MkdirAll(filepath.Join(dir, side, "shard-9"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := prepareReportDir(dir, []string{"server"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "server")); err == nil {
		t.Error("the old reports are still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "client")); err != nil {
		t.Error("the other side's reports are gone")
	}
	if err := os.Remove(filepath.Join(dir, reportMark)); err != nil {
		t.Fatal(err)
	}
	if _, err := prepareReportDir(dir, []string{"client"}); err == nil {
		t.Error("somebody else's directory was taken")
	}
}

func TestDockerArgs(t *testing.T) {
	got := strings.Join(dockerArgs("name", "/r/shard", "/w/site", []string{"-m", "fuzzingserver"}), " ")
	for _, want := range []string{"run --rm --init --name name --network host ", " --env PYTHONPATH=/site ",
		" --volume /w/site:/site:ro ", " --volume /r/shard:/shard --workdir /shard ", " " + dockerImage + " wstest -m fuzzingserver"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}
