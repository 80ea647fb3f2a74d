// Command chat is a chat for the browser: rooms, names, presence, history, a
// typing indicator, and a connection that survives a restart of the server.
//
//	go run ./examples/chat
//
// All of it but the flags is in package examples/internal/chat, which
// examples/chat-cluster uses, too.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/fullduplex-go/websocket/examples/internal/chat"
)

func main() {
	var o chat.Options
	addr := chat.Flags(flag.CommandLine, &o)
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("chat: unexpected argument %q", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, o); err != nil {
		log.Fatalf("chat: %v", err)
	}
}

func run(ctx context.Context, addr string, o chat.Options) error {
	ln, err := chat.Listen(addr)
	if err != nil {
		return err
	}
	return chat.Run(ctx, ln, o)
}
