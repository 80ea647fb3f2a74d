//go:build unix && !ws_plain

package websocket

func (s *socket) limitUnsent(n int) error { return limitUnsent(s.Conn, n) }
