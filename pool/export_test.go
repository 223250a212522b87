package pool

// SetAge sets the share of pool.max_age that the connection may reach.
func (s *Server) SetAge(share float64) { s.age = share }

// MostOpening is how many connections to node 0 were being opened at a time.
func (p *Pool) MostOpening() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.node(0).mostOpening
}
