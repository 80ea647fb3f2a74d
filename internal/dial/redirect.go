package dial

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fullduplex-go/websocket/internal/quote"
)

// credentialHeaders are the headers that must not follow a redirect to another
// origin. The Jar's cookies are not among them: net/http adds them later, for each
// URL its own.
var credentialHeaders = [...]string{
	"Authorization", "Cookie", "Cookie2",
	"Proxy-Authorization", "Proxy-Authenticate", "Www-Authenticate",
}

// redirect is the CheckRedirect of an exchange. A redirect that is not followed
// becomes the result with its body, and redirectErr says why.
func (x *Exchange) redirect(req *http.Request, via []*http.Request) error {
	err := x.follow(req, via)
	if err != nil && err != http.ErrUseLastResponse {
		x.redirectErr = err
		err = http.ErrUseLastResponse
	}
	return err
}

// follow prepares the next request of a chain, or returns why it is not sent.
func (x *Exchange) follow(req *http.Request, via []*http.Request) error {
	if err := checkRedirectURL(req, via); err != nil {
		return err
	}
	removeCredentials(req, via)
	if check := x.client.CheckRedirect; check != nil {
		if err := check(req, via); err != nil {
			return err
		}
		if err := checkRedirectURL(req, via); err != nil { // CheckRedirect may have changed the URL
			return err
		}
	} else if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	x.sign(req.Header)
	return nil
}

// checkRedirectURL makes the URL one that net/http can send. It refuses redirects from
// wss to ws, and to Unix domain sockets.
func checkRedirectURL(req *http.Request, via []*http.Request) error {
	shown := redactedURL(req.URL)
	if !useHTTPScheme(req.URL) {
		return fmt.Errorf("redirect to %s: not a WebSocket URL", quote.Line(shown))
	}
	if !sendableHost(req.URL.Host) {
		return fmt.Errorf("redirect to %s: the host cannot be sent", quote.Line(shown))
	}
	req.URL.RawQuery = escapeQuery(req.URL.RawQuery)
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect to %s: not followed, it leads from wss to ws", quote.Line(shown))
	}
	return nil
}

// removeCredentials removes the headers that only the first URL's origin may see,
// once any request of the chain has gone to another origin: even on the way back,
// the other origin may have chosen the path. The rule of net/http is laxer; it
// trusts subdomains and other ports.
func removeCredentials(req *http.Request, via []*http.Request) {
	first := via[0]
	if first.Header.Get("Referer") == "" {
		req.Header.Del("Referer") // net/http sets one, with the query and any token in it
	}
	left := !sameOrigin(first.URL, req.URL)
	for _, r := range via {
		left = left || !sameOrigin(first.URL, r.URL)
	}
	if left {
		for _, name := range credentialHeaders {
			req.Header.Del(name)
		}
	}
}
