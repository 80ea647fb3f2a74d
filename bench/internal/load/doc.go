// Package load is the load generator of cmd/compare: WebSocket clients that
// cost less than any server they are pointed at.
//
// One locked thread drives all connections by epoll. What is sent has been
// encoded and masked beforehand, and replies are not looked at but counted:
// while the clock runs the kernel throws them away without copying them
// (MSG_TRUNC). That a server does answer with what it was sent is established
// before and after, connection by connection and byte by byte.
//
// Linux only.
package load
