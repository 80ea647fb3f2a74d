//go:build interop

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/browser"
	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

// start starts the chat, and a visitor in it.
func start(t *testing.T) *window {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	b := browser.ForTest(t, ctx, browser.StartChromium)
	return open(t, ctx, b, startProcess(t, exampletest.Build(t), "127.0.0.1:0").URL, "Ada")
}

// Addresses become links, and nothing else does. The text stays as it was.
func TestLinksInBrowser(t *testing.T) {
	ada := start(t)
	for i, test := range []struct {
		text  string
		links []string // where they lead
	}{
		{"see https://go.dev, and (http://example.com/a_(b)).", []string{"https://go.dev/", "http://example.com/a_(b)"}},
		{"https://example.com/?q=1&r=<b>#x", []string{"https://example.com/?q=1&r="}},
		{"HTTPS://EXAMPLE.com:8443/Päth!", []string{"https://example.com:8443/P%C3%A4th"}},
		{"https://пример.example/日本。", []string{"https://xn--e1afmkfd.example/%E6%97%A5%E6%9C%AC"}},
		{"javascript:alert(1) data:text/html,x ftp://example.com //example.com example.com", nil},
		{"https://bank.example@evil.example/ http:// https://[ nohttps://example.com", nil},
		{"https://example.com/\u202egpj.exe", []string{"https://example.com/"}}, // what would turn the direction is no part of it
		{`https://example.com/"onclick="alert(1)`, []string{"https://example.com/"}},
	} {
		ada.say(test.text)
		ada.wait(fmt.Sprintf(`document.querySelectorAll("#log .text").length === %d`, i+1))
		var got struct {
			Text  string
			Links []struct{ Href, Rel, Target string }
		}
		ada.ok(ada.Eval(ada.ctx, `(() => {
			const text = [...document.querySelectorAll("#log .text")].at(-1);
			return {
				text: text.textContent,
				links: [...text.querySelectorAll("*")].map(({ href, rel, target }) => ({ href, rel, target })),
			};
		})()`, &got))
		if got.Text != test.text {
			t.Errorf("%q became %q", test.text, got.Text)
		}
		var links []string
		for _, l := range got.Links {
			links = append(links, l.Href)
			if l.Rel != "noopener noreferrer nofollow" || l.Target != "_blank" {
				t.Errorf("%+v", l)
			}
		}
		if !slices.Equal(links, test.links) {
			t.Errorf("%q links to %q, want %q", test.text, links, test.links)
		}
	}
	ada.checkProblems()
}

// A text that is too long is not cut: the page says by how much, and keeps it.
func TestLongTextInBrowser(t *testing.T) {
	ada := start(t)
	shown := func(condition string) {
		t.Helper()
		ada.wait(`((count, send) => ` + condition + `)(document.querySelector("#count"), document.querySelector("#send"))`)
	}
	ada.ok(ada.Click(ada.ctx, "#text"))
	ada.ok(ada.Type(ada.ctx, strings.Repeat("é", 1800)))
	shown(`count.hidden && !send.disabled`)
	ada.ok(ada.Type(ada.ctx, strings.Repeat("😀", 199))) // two units of JavaScript's each
	shown(`!count.hidden && count.textContent === "1 left" && !send.disabled`)
	ada.ok(ada.Type(ada.ctx, "123"))
	shown(`count.textContent === "2 too many" && send.disabled`)
	ada.ok(ada.Press(ada.ctx, "Enter"))
	shown(`document.querySelector("#text").value.endsWith("123")`)
	for name, v := range viewports {
		ada.screenshot("long-"+name, v)
	}
	ada.ok(ada.Eval(ada.ctx, `(() => {
		const text = document.querySelector("#text");
		text.value = text.value.slice(0, -2);
		text.dispatchEvent(new Event("input"));
	})()`, nil))
	shown(`count.textContent === "0 left" && !send.disabled`)
	ada.ok(ada.Press(ada.ctx, "Enter"))
	ada.sees(strings.Repeat("é", 1800)+strings.Repeat("😀", 199)+"1", true)
	shown(`count.hidden`)
	ada.checkProblems()
}

// A room is called what somebody has typed, in any script.
func TestRoomNamesInBrowser(t *testing.T) {
	ada := start(t)
	for _, test := range []struct{ typed, name string }{
		{"Bücher & Tee", "bücher-tee"},
		{"Bu\u0308cher  tee!", "bücher-tee"}, // composed of two
		{"お茶の間", "お茶の間"},
		{"Чай №5", "чай-no5"},
		{"चाय", "चाय"},
		{"C++ / go_1.26", "c-go_1-26"},
		{" -Tea- ", "tea"},
	} {
		ada.ok(ada.Eval(ada.ctx, `document.querySelector("#new-room-name").focus()`, nil))
		ada.ok(ada.Type(ada.ctx, test.typed))
		ada.ok(ada.Press(ada.ctx, "Enter"))
		name, err := json.Marshal(test.name)
		ada.ok(err)
		ada.wait(fmt.Sprintf(`document.querySelector("#room-name").textContent === %s &&
			document.querySelector("#room-list a[aria-current] bdi")?.textContent === %[1]s`, name))
	}
	ada.checkProblems()
}
