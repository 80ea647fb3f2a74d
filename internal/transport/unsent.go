package transport

// LimitUnsent limits the connection under TLS, if there is one.
func (s *stream) LimitUnsent(n int) error {
	return limitUnsent(beneath(s.Conn), n)
}
