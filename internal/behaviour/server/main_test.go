package server_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

var bg = context.Background()

// responseTimeout bounds the write of the 101 response.
const responseTimeout = 10 * time.Second

// closing reports whether the closing handshake of c has begun.
func closing(c *websocket.Conn) bool { return c.Write(bg, websocket.Text, nil) != nil }
