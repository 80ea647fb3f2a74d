package exampletest

import (
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Get returns the response to a request, and its body.
func Get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

var refs = regexp.MustCompile(`(?:src|href)="([^#"]+)"|from '\./([^']+)'`)

// CheckPage checks that the page at a URL is confined to its own files by a policy, and
// that those, which files has in the folder web, are all there.
func CheckPage(t *testing.T, url, policy string, files fs.FS) {
	t.Helper()
	resp, page := Get(t, url+"/")
	if got := resp.Header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("the policy is %q", got)
	}
	for _, bad := range []string{"<style", " style=", " onclick=", "http:", "https:", "//"} {
		if strings.Contains(strings.TrimPrefix(page, "<!doctype html>"), bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}

	known := map[string]bool{}
	var visit func(text string)
	visit = func(text string) {
		for _, m := range refs.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2]
			if known[name] {
				continue
			}
			known[name] = true
			resp, text := Get(t, url+"/"+name)
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", name, resp.Status)
			}
			if strings.HasSuffix(name, ".js") && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
				t.Errorf("%s is %s", name, resp.Header.Get("Content-Type"))
			}
			for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
				if strings.Contains(text, bad) {
					t.Errorf("%s uses %s", name, bad)
				}
			}
			visit(text)
		}
	}
	visit(page)
	entries, err := fs.ReadDir(files, "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] && entry.Name() != "index.html" {
			t.Errorf("nothing refers to %s", entry.Name())
		}
	}

	if resp, _ := Get(t, url+"/nothing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there: %s", resp.Status)
	}
	if resp, _ := Get(t, url+"/ws"); resp.StatusCode < 400 {
		t.Errorf("no handshake: %s", resp.Status)
	}
}
