//go:build linux

package load

import (
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestWrongReplies(t *testing.T) {
	for name, test := range map[string]struct {
		alter alteration
		want  string
	}{
		"other byte": {func(n int, m websocket.Message) websocket.Message {
			m.Data[len(m.Data)-1] ^= 1
			return m
		}, "differs"},
		"other type": {func(n int, m websocket.Message) websocket.Message {
			return websocket.Message{Type: websocket.Text, Data: []byte("yes")}
		}, "opcode"},
		"shorter": {func(n int, m websocket.Message) websocket.Message {
			m.Data = m.Data[:len(m.Data)-1]
			return m
		}, "differs"},
		// From the fourth message on, so that only the load is answered so.
		"longer under load": {func(n int, m websocket.Message) websocket.Message {
			if n >= 3 {
				m.Data = append(slices.Clone(m.Data), m.Data...)
			}
			return m
		}, "more has come back"},
		"always the same": {func() alteration {
			var first []byte
			return func(n int, m websocket.Message) websocket.Message {
				if first == nil {
					first = slices.Clone(m.Data)
				}
				m.Data = first
				return m
			}
		}(), "differs"},
	} {
		t.Run(name, func(t *testing.T) {
			job := testJob(serve(t, echo(test.alter)), Echo)
			job.Conns = 1
			_, err := Run(t.Context(), job, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// A server that answers wrongly while nobody looks is found out afterwards.
func TestWrongReplyFoundAfterwards(t *testing.T) {
	srv := serve(t, echo(func(n int, m websocket.Message) websocket.Message {
		if n > 10 {
			m.Data[0] ^= 1
		}
		return m
	}))
	_, err := Run(t.Context(), testJob(srv, Echo), nil)
	if err == nil || !strings.Contains(err.Error(), "after the measurement") {
		t.Errorf("error %v, want one after the measurement", err)
	}
}
