//go:build interop

package browser

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Firefox's requests to other machines go to the proxy of its settings. Of its own
// accord it makes none.
func TestFirefoxStaysHome(t *testing.T) {
	var mu sync.Mutex
	var seen []string // guarded by mu
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Host)
		mu.Unlock()
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	kept := maps.Clone(firefoxPrefs)
	defer func() { firefoxPrefs = kept }()
	firefoxPrefs = maps.Clone(kept)
	for _, scheme := range []string{"http", "ssl"} {
		firefoxPrefs["network.proxy."+scheme+"_port"] = port
	}

	site := startSite(t)
	ctx := testContext(t)
	page, err := ForTest(t, ctx, StartFirefox).OpenPage(ctx, site.URL)
	if err != nil {
		t.Fatal(err)
	}
	// The remote settings are asked for some seconds after the start.
	var ok bool
	err = page.Eval(ctx, `new Promise((resolve) => setTimeout(resolve, 5000)).
		then(() => Promise.allSettled([fetch("http://elsewhere.example/"), fetch("https://elsewhere.example/")])).
		then((results) => results[0].status === "fulfilled")`, &ok)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Error("the proxy was not reached")
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(seen)
	if seen = slices.Compact(seen); !slices.Equal(seen, []string{"CONNECT elsewhere.example:443", "GET elsewhere.example"}) {
		t.Errorf("the proxy has seen %q", seen)
	}
}
