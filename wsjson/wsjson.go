// Package wsjson sends and receives JSON values as WebSocket messages, with
// [encoding/json].
package wsjson

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/fullduplex-go/websocket"
)

// maxPooled is the capacity, in bytes, above which a buffer does not go back to the
// pool: one large value must not hold its memory for as long as the program runs.
const maxPooled = 64 << 10

// Read waits for the next message on c, text or binary, and decodes it into
// v, as [json.Unmarshal] does. v does not refer to the message afterwards.
//
// A message must be one JSON value with nothing but white space around it.
// A message that is not, or that does not fit v, is consumed all the same. The
// error then wraps that of encoding/json (a [*json.SyntaxError], a
// [*json.UnmarshalTypeError]), the connection stays usable, and the next call
// reads the next message. A server that wants to end the conversation closes
// with [websocket.StatusInvalidPayload] or a code of its own. Every other
// error is that of [websocket.Conn.Read].
//
// Like all reading methods of a connection, Read is for one goroutine at a
// time. The size of a message is bounded by [websocket.Options.ReadLimit].
func Read(ctx context.Context, c *websocket.Conn, v any) error {
	buf := readBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxPooled {
			readBuffers.Put(buf)
		}
	}()
	_, data, err := c.ReadAppend(ctx, (*buf)[:0])
	if data != nil {
		*buf = data // a larger buffer, if need be
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("wsjson: %w", err)
	}
	return nil
}

// Write sends v as one text message, encoded as by [json.Marshal], except
// that <, > and & are not escaped: a message is not part of an HTML page. No
// line feed follows the value.
//
// If v cannot be encoded, Write sends nothing, the connection stays usable, and
// the error wraps that of encoding/json. Every other error is that of
// [websocket.Conn.Write]. Any number of goroutines may call Write.
func Write(ctx context.Context, c *websocket.Conn, v any) error {
	e := encoders.Get().(*encoder)
	defer func() {
		if e.buf.Cap() <= maxPooled {
			e.buf.Reset()
			encoders.Put(e)
		}
	}()
	if err := e.json.Encode(v); err != nil {
		return fmt.Errorf("wsjson: %w", err)
	}
	return c.Write(ctx, websocket.Text, bytes.TrimSuffix(e.buf.Bytes(), []byte("\n")))
}

var readBuffers = sync.Pool{New: func() any { return new([]byte) }}

// encoder is a json.Encoder together with its output buffer.
type encoder struct {
	buf  bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(&e.buf)
	e.json.SetEscapeHTML(false)
	return e
}}
