package pool

// SetAge sets the share of pool.max_age that the connection may reach.
func (s *Server) SetAge(share float64) { s.age = share }
