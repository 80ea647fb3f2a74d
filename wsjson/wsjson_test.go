package wsjson_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/wsjson"
)

func pipe(t *testing.T) (ctx context.Context, client, server *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	client, server = websocket.Pipe()
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
		cancel()
	})
	return ctx, client, server
}

// send writes messages from a goroutine: a pipe holds nothing.
func send(t *testing.T, ctx context.Context, c *websocket.Conn, typ websocket.MessageType, messages ...string) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		for _, m := range messages {
			if err := c.Write(ctx, typ, []byte(m)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("writing: %v", err)
		}
	})
}

type point struct {
	X, Y  int
	Label string `json:"label,omitempty"`
}

func TestRoundTrip(t *testing.T) {
	ctx, client, server := pipe(t)
	for _, want := range []any{
		&point{X: 1, Y: -2, Label: "<ü & 🙂>"},
		&[]string{"a", "", "c"},
		&map[string]any{"nested": map[string]any{"list": []any{1.5, nil, true}}},
		new(string),
		new(any), // null
	} {
		sent := make(chan error, 1)
		go func() { sent <- wsjson.Write(ctx, client, want) }()
		got := reflect.New(reflect.TypeOf(want).Elem())
		if err := wsjson.Read(ctx, server, got.Interface()); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Interface(), want) {
			t.Errorf("sent %+v, got %+v", want, got.Interface())
		}
	}
}

// Write sends one text message, without a line feed and without HTML escapes.
func TestWriteFormat(t *testing.T) {
	ctx, client, server := pipe(t)
	sent := make(chan error, 1)
	go func() { sent <- wsjson.Write(ctx, server, map[string]string{"html": "<a>&</a>"}) }()
	typ, data, err := client.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if want := `{"html":"<a>&</a>"}`; typ != websocket.Text || string(data) != want {
		t.Errorf("got a message of type %v with %q, want text %q", typ, data, want)
	}
}

func TestReadEitherType(t *testing.T) {
	ctx, client, server := pipe(t)
	for _, typ := range []websocket.MessageType{websocket.Text, websocket.Binary} {
		send(t, ctx, client, typ, " {\"X\": 7}\r\n")
		var p point
		if err := wsjson.Read(ctx, server, &p); err != nil || p.X != 7 {
			t.Errorf("type %v: got %+v, %v", typ, p, err)
		}
	}
}

// A message that is not what was expected is an error of its own and does
// not touch the ones that follow.
func TestReadError(t *testing.T) {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	for _, tt := range []struct {
		message string
		target  any
	}{
		{"", &syntax},
		{"{", &syntax},
		{`{"X":1} {"X":2}`, &syntax},
		{`{"X":1},`, &syntax},
		{"\xff", &syntax},
		{`{"X":"one"}`, &mismatch},
	} {
		t.Run(fmt.Sprintf("%q", tt.message), func(t *testing.T) {
			ctx, client, server := pipe(t)
			send(t, ctx, client, websocket.Binary, tt.message, `{"X":3}`)
			var p point
			err := wsjson.Read(ctx, server, &p)
			if !errors.As(err, tt.target) {
				t.Errorf("error is %v (%T), want one that wraps %T", err, err, tt.target)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "wsjson: ") {
				t.Errorf("error %q does not say where it comes from", err)
			}
			p = point{}
			if err := wsjson.Read(ctx, server, &p); err != nil || p.X != 3 {
				t.Errorf("next message: %+v, %v", p, err)
			}
		})
	}
}

func TestWriteError(t *testing.T) {
	ctx, client, server := pipe(t)
	var unsupported *json.UnsupportedValueError
	if err := wsjson.Write(ctx, client, math.NaN()); !errors.As(err, &unsupported) {
		t.Errorf("error is %v, want one that wraps %T", err, unsupported)
	}
	// Nothing was sent, and the connection works.
	sent := make(chan error, 1)
	go func() { sent <- wsjson.Write(ctx, client, "fine") }()
	var s string
	if err := wsjson.Read(ctx, server, &s); err != nil || s != "fine" {
		t.Errorf("got %q, %v", s, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Errors of the connection come through as they are.
func TestConnectionError(t *testing.T) {
	ctx, client, server := pipe(t)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	var v any
	if err := wsjson.Read(canceled, server, &v); !errors.Is(err, context.Canceled) {
		t.Errorf("Read with a canceled context: %v", err)
	}

	closed := make(chan error, 1)
	go func() { closed <- client.Close(4000, "enough") }()
	if err := wsjson.Read(ctx, server, &v); websocket.CloseCode(err) != 4000 {
		t.Errorf("Read after the end: %v", err)
	}
	if err := wsjson.Write(ctx, server, v); websocket.CloseCode(err) != 4000 {
		t.Errorf("Write after the end: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Values that Read has stored stay when its buffer is used again, and large values
// pass like small ones.
func TestValuesDoNotShareBuffers(t *testing.T) {
	ctx, client, server := pipe(t)
	large := strings.Repeat("x", 100_000)
	send(t, ctx, client, websocket.Text, `{"a":"first"}`, `{"b":"`+large+`"}`, `{"c":"third"}`)
	values := make([]json.RawMessage, 3)
	for i := range values {
		if err := wsjson.Read(ctx, server, &values[i]); err != nil {
			t.Fatal(err)
		}
	}
	if string(values[0]) != `{"a":"first"}` || len(values[1]) != len(large)+8 || string(values[2]) != `{"c":"third"}` {
		t.Errorf("got %q, %d bytes, %q", values[0], len(values[1]), values[2])
	}
}

func TestConcurrentWrite(t *testing.T) {
	ctx, client, server := pipe(t)
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := wsjson.Write(ctx, client, point{X: w, Y: i}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [writers]int
	for range writers * each {
		var p point
		if err := wsjson.Read(ctx, server, &p); err != nil {
			t.Fatal(err)
		}
		if p.Y != next[p.X] {
			t.Fatalf("writer %d: got its value %d, want %d", p.X, p.Y, next[p.X])
		}
		next[p.X]++
	}
	wg.Wait()
}
