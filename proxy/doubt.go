package proxy

import (
	"maps"
	"slices"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
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
	d.invalidated, d.doubted, d.made, d.attached, d.uncovered = d.changed, nil, nil, nil, 0
}

// maxDoubted bounds the names in doubt, and the definitions that are not read yet; with more of them all is in doubt.
const maxDoubted = 1000

// doubt makes what names may concern unknown until the catalogs have been read again, and what definitions concern as
// far as they do not tell themselves that they are harmless. What later attached or uncovered is looked at when there is knowledge
// again; it may be nil. It may be called from any goroutine.
func (d *database) doubt(names []string, makes []*parser.Definition, later *redefinition) {
	d.mu.Lock()
	if len(d.doubted)+len(names)+len(d.made)+len(makes)+len(d.attached) > maxDoubted {
		d.mu.Unlock()
		d.invalidate()
		return
	}
	d.changed++
	if d.doubted == nil {
		d.doubted, d.made, d.attached = map[string]uint64{}, map[*parser.Definition]uint64{}, map[string]uint64{}
	}
	if later != nil {
		for _, name := range later.attaches {
			d.attached[name] = d.changed
		}
		if later.uncovers {
			d.uncovered = d.changed
		}
	}
	for _, name := range names {
		d.doubted[name] = d.changed
	}
	for _, definition := range makes {
		d.made[definition] = d.changed
	}
	if now := d.current.Load(); now.knowledge != nil {
		next := &knowing{knowledge: now.knowledge, rules: now.rules, since: now.since}
		if len(makes) > 0 {
			next.since = cluster.Now() // what is used from now on, a standby must show
		}
		d.current.Store(d.inDoubt(next))
	}
	d.mu.Unlock()
	d.definitions.Add(1)
	d.wakeUp()
}

// inDoubt is next with the names in doubt and what uses them; if that is everything, nothing is known. The caller holds mu.
func (d *database) inDoubt(next *knowing) *knowing {
	if len(d.doubted)+len(d.made)+len(d.attached) == 0 && d.uncovered == 0 {
		return next
	}
	next.doubtful = make(map[string]bool, len(d.doubted))
	for name := range d.doubted {
		next.doubtful[name] = true
	}
	if next.knowledge == nil { // it cannot be read
		return next
	}
	if d.uncovered != 0 {
		for _, name := range next.knowledge.Hidden() {
			next.doubtful[name] = true
		}
	}
	all := false
	if next.made, all = next.knowledge.Doubt(next.doubtful, slices.Collect(maps.Keys(d.made))); all {
		return waitFor(next.rules)
	}
	for name := range d.attached {
		if !next.knowledge.IsOrdinary(name) || next.doubtful[name] {
			return waitFor(next.rules)
		}
	}
	return next
}

// redefined takes in what a transaction did.
func (d *database) redefined(r *redefinition) {
	names, later, all := d.concerned(r)
	switch {
	case all:
		d.invalidate()
	case later != nil || len(names)+len(r.makes) > 0:
		d.doubt(names, r.makes, later)
	default:
		d.definitions.Add(1)
		if r.fewer || r.uncovers {
			d.wakeUp() // what is known is right, but more careful than it need be
		}
	}
}

// concerned are the names that a transaction leaves in doubt, or whether it is all. later is r if only what is being
// read will tell.
func (d *database) concerned(r *redefinition) (names []string, later *redefinition, all bool) {
	if r.all || !r.uncovers && len(r.attaches) == 0 {
		return r.names, nil, r.all
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.current.Load().knowledge
	if k == nil {
		return r.names, r, false
	}
	for _, name := range r.attaches {
		if !k.IsOrdinary(name) || d.doubted[name] != 0 || slices.Contains(r.names, name) || d.makes(name) || slices.ContainsFunc(r.makes, named(name)) {
			return nil, nil, true
		}
	}
	if names = r.names; r.uncovers {
		// What is in doubt may hide something, too, and may be known only when a reading that is under way ends.
		names = slices.AppendSeq(slices.Concat(names, k.Hidden()), maps.Keys(d.doubted))
		for definition := range d.made {
			names = append(names, definition.Name)
		}
	}
	return names, nil, false
}

// makes is whether a name has a definition that is not read yet; the caller holds mu.
func (d *database) makes(name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(d.made)), named(name))
}

func named(name string) func(*parser.Definition) bool {
	return func(d *parser.Definition) bool { return d.Name == name }
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
	maps.DeleteFunc(d.made, func(_ *parser.Definition, at uint64) bool { return at <= changed })
	maps.DeleteFunc(d.attached, func(_ string, at uint64) bool { return at <= changed })
	if d.uncovered <= changed {
		d.uncovered = 0
	}
	now := d.current.Load()
	if len(d.made) > 0 {
		next.since = max(next.since, now.since)
	}
	next = d.inDoubt(next)
	if now.knowledge != next.knowledge || now.rules != next.rules || now.waiting || !maps.Equal(now.doubtful, next.doubtful) || !maps.Equal(now.made, next.made) {
		d.current.Store(next)
		now.release()
	}
	return d.changed == changed
}
