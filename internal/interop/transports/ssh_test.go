package transports

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"golang.org/x/crypto/ssh"
)

// channelConn makes a net.Conn of a channel of SSH, which has neither addresses nor
// deadlines. NewConn gives it deadlines; SetDeadline has but to say that it has none.
type channelConn struct {
	ssh.Channel // Read, Write, Close and CloseWrite
	conn        ssh.Conn
}

func (c channelConn) LocalAddr() net.Addr            { return c.conn.LocalAddr() }
func (c channelConn) RemoteAddr() net.Addr           { return c.conn.RemoteAddr() }
func (channelConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (channelConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (channelConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// TestSSHChannel: both ends of a channel of SSH, without a handshake of HTTP.
func TestSSHChannel(t *testing.T) {
	client, channels := sshPair(t)
	opened := make(chan *websocket.Conn, 1)
	go func() {
		for nc := range channels {
			ch, requests, err := nc.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			go ssh.DiscardRequests(requests)
			c, err := websocket.NewConn(channelConn{ch, client}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			opened <- c
		}
	}()
	ch, requests, err := client.OpenChannel("websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	near := newConn(t, channelConn{ch, client}, true)
	far := <-opened
	defer far.CloseNow()
	check(t, near, far)
}

// TestSSHTunnel: Dial through ssh.Client.Dial, to a server on the other side of
// an SSH connection, both ends of which are channels. net/http serves them behind a
// DeadlineListener.
func TestSSHTunnel(t *testing.T) {
	client, channels := sshPair(t)
	ln := &channelListener{channels, client}
	served := make(chan *websocket.Conn, 1)
	done := make(chan struct{})
	srv := &http.Server{Handler: &websocket.Server{Handler: func(c *websocket.Conn) {
		served <- c
		<-done
	}}}
	go srv.Serve(websocket.DeadlineListener(ln))
	defer srv.Close()
	defer close(done)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	near, _, err := websocket.Dial(ctx, "ws://host.behind.ssh/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: client.DialContext}},
		Options:    websocket.Options{ReadLimit: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, near, <-served)
}

// channelListener accepts the channels of one SSH connection.
type channelListener struct {
	channels <-chan ssh.NewChannel
	conn     ssh.Conn
}

func (l *channelListener) Accept() (net.Conn, error) {
	nc, ok := <-l.channels
	if !ok {
		return nil, net.ErrClosed
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	return channelConn{ch, l.conn}, nil
}

func (l *channelListener) Close() error   { return l.conn.Close() }
func (l *channelListener) Addr() net.Addr { return l.conn.LocalAddr() }

// sshPair connects an SSH client and a server, whose channels it returns.
func sshPair(t *testing.T) (*ssh.Client, <-chan ssh.NewChannel) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	server := &ssh.ServerConfig{NoClientAuth: true}
	server.AddHostKey(signer)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan (<-chan ssh.NewChannel), 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		_, channels, requests, err := ssh.NewServerConn(nc, server)
		if err != nil {
			t.Error(err)
			nc.Close()
			close(accepted)
			return
		}
		go ssh.DiscardRequests(requests)
		accepted <- channels
	}()
	client, err := ssh.Dial("tcp", ln.Addr().String(), &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	channels, ok := <-accepted
	if !ok {
		t.FailNow()
	}
	return client, channels
}
