package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Firefox is a running Firefox, which is driven by WebDriver BiDi
// (https://www.w3.org/TR/webdriver-bidi/).
type Firefox struct {
	process *process
	*rpc    // nil until it is connected
}

// firefoxPrefs are the settings of the profile, which is new.
var firefoxPrefs = obj{
	// Connections to other machines go to a proxy that does not exist. Names are
	// not looked up, since the proxy would do that.
	"network.proxy.type":              1,
	"network.proxy.http":              "127.0.0.1",
	"network.proxy.http_port":         9,
	"network.proxy.ssl":               "127.0.0.1",
	"network.proxy.ssl_port":          9,
	"network.proxy.failover_direct":   false,
	"network.dns.native-is-localhost": true,
	"network.trr.mode":                5,
	"network.http.http3.enable":       false, // UDP goes through no proxy

	// These features would try to connect all the same, and wait.
	"app.normandy.enabled":                       false,
	"app.update.disabledForTesting":              true,
	"browser.safebrowsing.downloads.enabled":     false,
	"browser.safebrowsing.malware.enabled":       false,
	"browser.safebrowsing.phishing.enabled":      false,
	"browser.search.update":                      false,
	"browser.shell.checkDefaultBrowser":          false,
	"browser.startup.page":                       0,
	"datareporting.policy.dataSubmissionEnabled": false,
	"dom.push.connection.enabled":                false,
	"extensions.systemAddon.update.enabled":      false,
	"extensions.update.enabled":                  false,
	"media.gmp-manager.updateEnabled":            false,
	"network.captive-portal-service.enabled":     false,
	"network.connectivity-service.enabled":       false,
	"nimbus.rollouts.enabled":                    false,
	"services.settings.server":                   "data:,#remote-settings-dummy/v1",
	"toolkit.telemetry.enabled":                  false,

	// A page whose connection has failed connects again at once.
	"network.websocket.delay-failed-reconnects": false,
}

// StartFirefox starts the Firefox that $FIREFOX names, or else firefox-esr or
// firefox, and connects to it. The context bounds the start only; the browser
// runs until Close.
func StartFirefox(ctx context.Context) (*Firefox, error) {
	path, err := lookPath("FIREFOX", "firefox-esr", "firefox")
	if err != nil {
		return nil, err
	}
	p, err := startProcess(path, "WebDriver BiDi listening on ", func(profile string) ([]string, error) {
		var prefs bytes.Buffer
		for name, value := range firefoxPrefs {
			b, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&prefs, "user_pref(%q, %s);\n", name, b)
		}
		return []string{"--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile, "about:blank"},
			os.WriteFile(filepath.Join(profile, "user.js"), prefs.Bytes(), 0o600)
	}, "MOZ_REMOTE_SETTINGS_DEVTOOLS=1") // without it services.settings.server is ignored
	if err != nil {
		return nil, err
	}
	f := &Firefox{process: p}
	conn, err := p.dial(ctx, "/session")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.rpc = newRPC(conn, func(wireMessage) {}) // it subscribes to no events
	capabilities := obj{"capabilities": obj{"alwaysMatch": obj{"acceptInsecureCerts": true}}}
	if err := f.call(ctx, "session.new", capabilities, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close ends the browser and removes its profile. It returns when the process is
// gone.
func (f *Firefox) Close() error {
	return closeBrowser(f.process, f.rpc, "browser.close")
}

// firefoxPage is a tab of Firefox.
type firefoxPage struct {
	f       *Firefox
	context string // its identifier
}

// OpenPage opens a page in a new tab.
func (f *Firefox) OpenPage(ctx context.Context, url string) (Page, error) {
	var created struct{ Context string }
	if err := f.call(ctx, "browsingContext.create", obj{"type": "tab"}, &created); err != nil {
		return nil, err
	}
	p := &firefoxPage{f, created.Context}
	return p, p.Navigate(ctx, url)
}

func (p *firefoxPage) Navigate(ctx context.Context, url string) error {
	return p.f.call(ctx, "browsingContext.navigate", obj{"context": p.context, "url": url, "wait": "interactive"}, nil)
}

func (p *firefoxPage) Eval(ctx context.Context, expression string, result any) error {
	var r struct {
		Type   string
		Result struct {
			Type  string
			Value json.RawMessage
		}
		ExceptionDetails struct{ Text string }
	}
	err := p.f.call(ctx, "script.evaluate", obj{
		// BiDi has a notation of its own for values, so the result is JSON in a
		// string.
		"expression":     "(async () => JSON.stringify(await (" + expression + ")))()",
		"target":         obj{"context": p.context},
		"awaitPromise":   true,
		"userActivation": true,
	}, &r)
	if err != nil {
		return err
	}
	if r.Type == "exception" {
		return fmt.Errorf("browser: exception: %s", r.ExceptionDetails.Text)
	}
	if result == nil {
		return nil
	}
	if r.Result.Type != "string" {
		return fmt.Errorf("browser: %s is %s", abbreviate(expression), r.Result.Type)
	}
	var text string
	if err := json.Unmarshal(r.Result.Value, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), result)
}

func (p *firefoxPage) Screenshot(ctx context.Context) ([]byte, error) {
	var r struct{ Data []byte }
	err := p.f.call(ctx, "browsingContext.captureScreenshot", obj{"context": p.context}, &r)
	return r.Data, err
}

func (p *firefoxPage) Close(ctx context.Context) error {
	return p.f.call(ctx, "browsingContext.close", obj{"context": p.context}, nil)
}
