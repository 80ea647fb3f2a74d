//go:build unix && !ws_plain

package transport

func (s *socket) LimitUnsent(n int) error { return limitUnsent(s.Conn, n) }
