package keepalive_test

import (
	"context"
	"os"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

var bg = context.Background()
