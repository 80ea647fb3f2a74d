package wstest

import (
	"bytes"
	"log/slog"
	"sync"
)

// Log takes what a logger writes, from any goroutine.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// NewLog returns a logger of all levels, and what it writes.
func NewLog() (*slog.Logger, *Log) {
	out := new(Log)
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), out
}
