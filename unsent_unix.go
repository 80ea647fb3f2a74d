//go:build unix

package websocket

func (s *socket) limitUnsent(n int) error { return limitUnsent(s.Conn, n) }
