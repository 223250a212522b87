package auth

import "sync"

// maxDerived bounds the keys kept per secret: one salt for howdah's clients, one
// for the servers (standbys share the primary's), and room for a change.
const maxDerived = 4

// keyCache keeps the SCRAM keys of one clear-text password, so that a storm of
// logins pays the thousands of HMAC rounds once, not per login.
type keyCache struct {
	mu      sync.Mutex
	entries []*derived // newest use last
}

type derived struct {
	salt       string
	iterations int
	once       sync.Once // derives outside keyCache.mu; late comers wait here
	keys       scramKeys
	err        error
}

// get is safe for concurrent use; concurrent first calls derive once.
func (c *keyCache) get(password string, salt []byte, iterations int) (scramKeys, error) {
	d := c.entry(string(salt), iterations)
	d.once.Do(func() { d.keys, d.err = deriveKeys(password, salt, iterations) })
	return d.keys, d.err
}

func (c *keyCache) entry(salt string, iterations int) *derived {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, d := range c.entries {
		if d.salt == salt && d.iterations == iterations {
			c.entries = append(append(c.entries[:i:i], c.entries[i+1:]...), d)
			return d
		}
	}
	if len(c.entries) >= maxDerived {
		c.entries = append([]*derived(nil), c.entries[1:]...)
	}
	d := &derived{salt: salt, iterations: iterations}
	c.entries = append(c.entries, d)
	return d
}
