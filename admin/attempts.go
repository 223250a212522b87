package admin

import (
	"sync"
	"time"
)

const (
	// maxFailures is how many wrong passwords in a row a host may try before it has to wait.
	maxFailures = 10
	// penalty is how long it waits then.
	penalty = 30 * time.Second
	// maxHosts bounds the hosts that are remembered; the rest share one account.
	maxHosts = 10_000
)

// attempts counts failed logins by the host that they come from.
type attempts struct {
	mu    sync.Mutex
	hosts map[string]*failures
}

type failures struct {
	count int
	last  time.Time
}

// allowed says whether a host may try a password now.
func (t *attempts) allowed(host string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.hosts[t.account(host)]
	return f == nil || f.count < maxFailures || now.Sub(f.last) >= penalty
}

// tried takes note of how a try went.
func (t *attempts) tried(host string, ok bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hosts == nil {
		t.hosts = map[string]*failures{}
	}
	host = t.account(host)
	if ok {
		delete(t.hosts, host)
		return
	}
	if len(t.hosts) >= maxHosts {
		for h, f := range t.hosts {
			if now.Sub(f.last) >= penalty {
				delete(t.hosts, h)
			}
		}
	}
	f := t.hosts[host]
	if f == nil || now.Sub(f.last) >= penalty {
		f = &failures{}
		t.hosts[host] = f
	}
	f.count++
	f.last = now
}

func (t *attempts) account(host string) string {
	if t.hosts[host] == nil && len(t.hosts) >= maxHosts {
		return "others"
	}
	return host
}
