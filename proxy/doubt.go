package proxy

import (
	"maps"
	"slices"
)

// invalidate makes everything that the catalogs could concern unknown until they
// have been read again. It may be called from any goroutine.
func (d *database) invalidate() {
	d.definitions.Add(1)
	d.mu.Lock()
	d.forget()
	// While the catalogs cannot be read nothing is known that could be wrong.
	if now := d.current.Load(); now.knowledge != nil {
		d.current.Store(waitFor(now.rules))
	}
	d.mu.Unlock()
	d.wakeUp()
}

// forget makes all readings that have begun useless; the caller holds mu.
func (d *database) forget() {
	d.changed++
	d.invalidated, d.doubted = d.changed, nil
}

// maxDoubted bounds the names in doubt; with more of them all is.
const maxDoubted = 1000

// doubt makes what names may concern unknown until the catalogs have been read again. It may be called
// from any goroutine.
func (d *database) doubt(names []string) {
	d.mu.Lock()
	if len(d.doubted)+len(names) > maxDoubted {
		d.mu.Unlock()
		d.invalidate()
		return
	}
	d.changed++
	if d.doubted == nil {
		d.doubted = map[string]uint64{}
	}
	for _, name := range names {
		d.doubted[name] = d.changed
	}
	if now := d.current.Load(); now.knowledge != nil {
		d.current.Store(d.inDoubt(&knowing{knowledge: now.knowledge, rules: now.rules, since: now.since}))
	}
	d.mu.Unlock()
	d.definitions.Add(1)
	d.wakeUp()
}

// inDoubt is next with the names in doubt and what uses them; if that is everything, nothing is known. The caller holds mu.
func (d *database) inDoubt(next *knowing) *knowing {
	if len(d.doubted) == 0 {
		return next
	}
	next.doubtful = make(map[string]bool, len(d.doubted))
	for name := range d.doubted {
		next.doubtful[name] = true
	}
	if next.knowledge.WithUsers(next.doubtful) {
		return waitFor(next.rules)
	}
	return next
}

// redefined takes in what a transaction did.
func (d *database) redefined(r *redefinition) {
	names, all := d.concerned(r)
	switch {
	case all:
		d.invalidate()
	case len(names) > 0:
		d.doubt(names)
	default:
		d.definitions.Add(1)
		if r.fewer || r.uncovers {
			d.wakeUp() // what is known is right, but more careful than it need be
		}
	}
}

// concerned are the names that a transaction leaves in doubt, or whether it is all.
func (d *database) concerned(r *redefinition) (names []string, all bool) {
	if r.all || !r.uncovers && len(r.attaches) == 0 {
		return r.names, r.all
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.current.Load().knowledge
	if k == nil {
		return nil, true
	}
	for _, name := range r.attaches {
		if !k.IsOrdinary(name) || d.doubted[name] != 0 || slices.Contains(r.names, name) {
			return nil, true
		}
	}
	if names = r.names; r.uncovers {
		// What is in doubt may hide something, too, and may be known only when a reading that is under way ends.
		names = slices.AppendSeq(slices.Concat(names, k.Hidden()), maps.Keys(d.doubted))
	}
	return names, false
}

// settle makes next what sessions know, unless definitions have changed since; it reports whether nothing
// has. changed is what it was when the reading began.
func (d *database) settle(changed uint64, next *knowing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.invalidated > changed {
		return false
	}
	maps.DeleteFunc(d.doubted, func(_ string, at uint64) bool { return at <= changed })
	next = d.inDoubt(next)
	now := d.current.Load()
	if now.knowledge != next.knowledge || now.rules != next.rules || now.waiting || !maps.Equal(now.doubtful, next.doubtful) {
		d.current.Store(next)
		now.release()
	}
	return d.changed == changed
}
