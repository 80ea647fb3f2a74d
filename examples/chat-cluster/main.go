// Command chat-cluster is examples/chat on several servers that share their
// rooms: it does not matter which of them a page is connected to.
//
//	cd examples/chat-cluster
//	go run .                                     # prints the address of a broker
//	go run . -nats nats://127.0.0.1:4222         # with that address, in another terminal
//
// Open the pages of both; each page shows its server. Stop either server: its pages
// wait for it, and are still in the rooms when it is back; those of the other go on.
//
// The servers are connected by NATS, through package hub/natsplane. Without
// -nats a broker runs in this process, for a first try, and ends with it. The broker
// as a program of its own, also in a cluster, is nats-server:
// https://docs.nats.io/running-a-nats-service/introduction. When the broker goes
// away all pages stay connected, and messages reach the pages of the same server.
// When the broker is back messages reach all pages again.
//
// # What is shared, and what it is worth
//
// Messages and typing notices go to the visitors of all servers. Each server repeats
// its list of visitors every five seconds, so when a server crashes its visitors are
// gone after fifteen. A server that is new, or was cut off for long, asks the others
// for earlier messages. NATS delivers at most once: a server that loses the broker
// may miss a message. A message is kept in the memory of the server where it was
// said, and nowhere else, so newcomers no longer get it when that server ends; a
// chat to rely on would keep it in a database. Messages of different servers are
// ordered by the servers' clocks. Two people who choose the same name in the same
// moment on two servers both get it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fullduplex-go/websocket/examples/internal/chat"
	"github.com/fullduplex-go/websocket/hub/natsplane"
)

// defaultBroker is the default address of the broker of this process: the usual
// port, so that the other servers find it again after a restart.
const defaultBroker = "127.0.0.1:4222"

func main() {
	var o chat.Options
	addr := chat.Flags(flag.CommandLine, &o)
	url := flag.String("nats", "", "`URL` of a NATS broker (default that of one in this process)")
	broker := flag.String("broker", "", "`host:port` for the broker in this process; it lets in everybody who reaches it (default "+defaultBroker+").\nIf the port is taken any free one is used, unless -broker is given")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("chat-cluster: unexpected argument %q", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, *addr, *url, *broker); err != nil {
		log.Fatalf("chat-cluster: %v", err)
	}
}

// run serves the chat on addr until ctx is done, connected to the NATS broker at
// url, or to one of its own, which listens on brokerAddr.
func run(ctx context.Context, o chat.Options, addr, url, brokerAddr string) error {
	ln, err := chat.Listen(addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	if url == "" {
		broker, err := startBroker(brokerAddr)
		if err != nil {
			return err
		}
		defer broker.Shutdown()
		url = broker.ClientURL()
		fmt.Printf("Another server joins by: go run . -nats %s\n", url)
	}
	nc, err := natsplane.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	o.Name = ln.Addr().String()
	o.Backplane = natsplane.New(nc, &natsplane.Options{Prefix: "chat"})
	return chat.Run(ctx, ln, o)
}

func startBroker(addr string) (*server.Server, error) {
	// A broker does not say why it cannot listen, so this is tried before.
	ln, err := net.Listen("tcp", cmp.Or(addr, defaultBroker))
	if err != nil && addr == "" {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, err
	}
	free := ln.Addr().(*net.TCPAddr)
	ln.Close()
	broker, err := server.NewServer(&server.Options{Host: free.IP.String(), Port: free.Port, NoSigs: true, NoLog: true})
	if err != nil {
		return nil, err
	}
	broker.Start()
	if !broker.ReadyForConnections(5 * time.Second) {
		broker.Shutdown()
		return nil, errors.New("the broker does not start")
	}
	return broker, nil
}
