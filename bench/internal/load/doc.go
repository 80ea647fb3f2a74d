// Package load is the load generator of cmd/compare: WebSocket clients that
// need less CPU than any server.
//
// One locked thread drives all connections by epoll. Messages are encoded and masked
// beforehand, and replies are only counted: during the measurement the kernel
// discards them without copying (MSG_TRUNC). Before and after it, the replies of
// each connection are compared with its messages byte by byte.
//
// Over TLS the same thread encrypts and decrypts, by crypto/tls over sockets that do not
// block, and needs about as much CPU as a fast server. TLS handshakes are made by
// goroutines.
//
// Linux only.
package load
