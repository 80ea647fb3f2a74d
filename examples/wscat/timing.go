package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"
)

// timing prints the steps of a handshake, each with the time that it took. The
// lines begin as those of curl -v do: * is an event, > is sent, < is received.
type timing struct {
	status *log.Logger
	start  time.Time

	mu    sync.Mutex           // guards began: several addresses may be tried at once
	began map[string]time.Time // when each step began
}

func newTiming(status *log.Logger) *timing {
	return &timing{status: status, start: time.Now(), began: make(map[string]time.Time)}
}

func (t *timing) begin(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began[step] = time.Now()
}

// end prints the result of a step.
func (t *timing) end(step, name, result string, err error) {
	t.mu.Lock()
	took := time.Since(t.began[step])
	t.mu.Unlock()
	if err != nil {
		result = err.Error()
	}
	t.status.Printf("* %-8s %9s  %s", name, short(took), printable(result))
}

// trace returns a context with which net/http reports its steps to t.
func (t *timing) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { t.begin("DNS") },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			var addrs []string
			for _, a := range i.Addrs {
				addrs = append(addrs, a.String())
			}
			t.end("DNS", "DNS", strings.Join(addrs, ", "), i.Err)
		},
		ConnectStart: func(_, addr string) { t.begin(addr) },
		ConnectDone:  func(_, addr string, err error) { t.end(addr, "TCP", addr, err) },

		TLSHandshakeStart: func() { t.begin("TLS") },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			t.end("TLS", "TLS", describeTLS(s), err)
		},
		WroteHeaderField: func(name string, values []string) {
			for _, v := range values {
				t.status.Printf("> %s: %s", printable(name), printable(v))
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { t.begin("upgrade") },
	})
}

// finish prints the server's answer. resp is nil if there was none.
func (t *timing) finish(resp *http.Response, err error) {
	if resp == nil {
		return // the error says all
	}
	t.end("upgrade", "Upgrade", resp.Proto+" "+resp.Status, nil)
	names := make([]string, 0, len(resp.Header))
	for name := range resp.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range resp.Header[name] {
			t.status.Printf("< %s: %s", printable(name), printable(v))
		}
	}
	if err == nil {
		t.status.Printf("* %-8s %9s", "Total", short(time.Since(t.start)))
	}
}

// describeTLS describes the negotiated TLS and the server's certificate.
func describeTLS(s tls.ConnectionState) string {
	text := tls.VersionName(s.Version) + ", " + tls.CipherSuiteName(s.CipherSuite)
	if len(s.PeerCertificates) > 0 {
		c := s.PeerCertificates[0]
		text += fmt.Sprintf(", certificate of %s until %s", strings.Join(c.DNSNames, ", "), c.NotAfter.Format(time.DateOnly))
	}
	return text
}

// short returns a time, rounded to three digits.
func short(d time.Duration) string {
	for unit := time.Nanosecond; unit <= time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}
