package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The site writes down what it is sent, by Go's client in place of a browser.
func TestSite(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		s, err := newSite(protocol)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			ForceAttemptHTTP2: protocol == "h2",
		}}
		defer client.CloseIdleConnections()
		get := func(path string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Test", "here")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Fatal(err)
			}
			if h2 := protocol == "h2"; h2 != (resp.ProtoMajor == 2) {
				t.Fatalf("%s: %s", protocol, resp.Proto)
			}
		}
		get("/")
		for n := range polls {
			get(pollPath(n + 1))
		}
		get("/done")
		<-s.done

		if protocol == "http/1.1" {
			head, err := s.requestHead(pollPath(2))
			if err != nil || !bytes.HasPrefix(head, []byte("GET {path} HTTP/1.1\nHost: ")) || !bytes.HasSuffix(head, []byte("\n")) || !bytes.Contains(head, []byte("\nX-Test: here\n")) {
				t.Errorf("%q, %v", head, err)
			}
			if head, err := s.requestHead("/nothing"); err == nil {
				t.Errorf("%q", head)
			}
			if sizes, err := s.headersFrames(); err == nil {
				t.Errorf("%v without HTTP/2", sizes)
			}
			continue
		}
		if h := s.header(pollPath(1)); h.Get("X-Test") != "here" || s.header("/nothing") != nil {
			t.Errorf("%v", h)
		}
		sizes, err := s.headersFrames()
		if err != nil || len(sizes) != polls+2 {
			t.Fatalf("%v, %v", sizes, err)
		}
		// The first has all headers, the others refer to them.
		for _, n := range sizes[1:] {
			if n <= 9 || n >= sizes[0] {
				t.Errorf("%v", sizes)
			}
		}
	}
}

func TestPage(t *testing.T) {
	for _, part := range []string{eventsPath, socketPath, `"/poll/1017?after="`, `"/done"`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
	if len(pollPath(1)) != len(pollPath(polls)) {
		t.Error("the paths of polls have different lengths")
	}
}
