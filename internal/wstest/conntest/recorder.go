package conntest

import (
	"net"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Recorder is a handler that notes its events, and complains if they overlap or
// something follows the end.
type Recorder struct {
	*wstest.Recorder[*websocket.Conn, websocket.MessageType]
}

// Record returns a Recorder that calls the functions of on in the middle of its events.
func Record(t testing.TB, on Handler) Recorder { return Recorder{wstest.Record(t, on)} }

// AttachRecorder attaches c to l, with a Recorder.
func AttachRecorder(t testing.TB, l *websocket.Loop, c *websocket.Conn, on Handler) Recorder {
	t.Helper()
	r := Record(t, on)
	if err := l.Attach(c, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Want waits for the end, and compares its code and the messages before it.
func (r Recorder) Want(t testing.TB, code websocket.StatusCode, messages ...string) {
	t.Helper()
	if err := r.End(t, messages...); websocket.CloseCode(err) != code {
		t.Errorf("OnClose was told %v, want %v", err, code)
	}
}

// Text is a text frame as a client sends it.
func Text(p string) []byte { return Frame(websocket.OpText, true, true, p) }

// AnswerClose answers a server's close frame, and waits for the end.
func AnswerClose(peer net.Conn) {
	r := &FrameReader{NC: peer}
	for {
		f, err := r.Next()
		if err != nil {
			peer.Close()
			return
		}
		if f.Opcode == websocket.OpClose {
			peer.Write(Frame(websocket.OpClose, true, true, f.Payload))
		}
	}
}
