package contract_test

import (
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

func TestAnswer(t *testing.T) {
	request := "GET /broadcast HTTP/1.1\r\nHost: x\r\nsec-websocket-key:  " + sampleKey + " \r\nUpgrade: websocket\r\n\r\n"
	for n := range request {
		if path, response, err := contract.Answer([]byte(request[:n])); path != "" || response != nil || err != nil {
			t.Fatalf("after %d bytes: %q, %q, %v", n, path, response, err)
		}
	}
	path, response, err := contract.Answer([]byte(request))
	if err != nil || path != "/broadcast" || !strings.Contains(string(response), "\r\nSec-WebSocket-Accept: "+sampleAccept+"\r\n") {
		t.Errorf("%q, %q, %v", path, response, err)
	}

	for name, b := range map[string]string{
		"method":    "POST / HTTP/1.1\r\nSec-WebSocket-Key: " + sampleKey + "\r\n\r\n",
		"no target": "GET\r\nSec-WebSocket-Key: " + sampleKey + "\r\n\r\n",
		"no key":    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"early":     request + "\x81\x80",
		"endless":   strings.Repeat("x", contract.MaxRequest),
	} {
		if path, response, err := contract.Answer([]byte(b)); err == nil {
			t.Errorf("%s: %q, %q", name, path, response)
		}
	}
}

func TestSet(t *testing.T) {
	var s contract.Set[int]
	s.Remove(1)
	for i := range 5 {
		s.Add(i)
	}
	before := s.All()
	s.Remove(2)
	s.Remove(2)
	s.Add(7)
	if len(before) != 5 || before[2] != 2 {
		t.Errorf("a slice that was handed out has changed to %v", before)
	}
	seen := make(map[int]bool)
	for _, i := range s.All() {
		seen[i] = true
	}
	if len(s.All()) != 5 || len(seen) != 5 || seen[2] || !seen[7] {
		t.Errorf("members: %v", s.All())
	}
}
