package proxy

// shelf are the prepared statements that shared sessions made on a server connection.
// They have names made from what they are, so that all sessions that prepare the
// same text with the same types use one. The least recently used one gives way.
type shelf struct {
	byName         map[string]*shelved
	newest, oldest *shelved
}

// shelved is one statement.
type shelved struct {
	name string
	// definitions is the database's count of redefinitions before it was made.
	definitions  uint64
	columns      columns // of its result, if a Describe has said so
	newer, older *shelved
}

// has reports whether the statement is there, made after so many redefinitions, and
// counts as its use.
func (sh *shelf) has(name string, definitions uint64) bool { return sh.use(name, definitions) != nil }

// use is has, and returns the statement; nil if it is not there.
func (sh *shelf) use(name string, definitions uint64) *shelved {
	e := sh.byName[name]
	if e == nil || e.definitions < definitions {
		return nil
	}
	if e != sh.newest {
		sh.unlink(e)
		sh.link(e)
	}
	return e
}

// put adds a statement that is not there. It returns the one that must be closed
// before: an older one of its name, or if there are limit already the one that gives way.
func (sh *shelf) put(name string, definitions uint64, limit int) (evicted *shelved) {
	if evicted = sh.byName[name]; evicted == nil && len(sh.byName) >= limit {
		evicted = sh.oldest
	}
	if evicted != nil {
		sh.drop(evicted.name)
	}
	sh.restore(&shelved{name: name, definitions: definitions})
	return evicted
}

// restore adds a statement, which may have been there before.
func (sh *shelf) restore(e *shelved) {
	if sh.byName == nil {
		sh.byName = map[string]*shelved{}
	}
	sh.byName[e.name] = e
	sh.link(e)
}

// spoil has the statement made anew before it is used again.
func (sh *shelf) spoil(name string) {
	if e := sh.byName[name]; e != nil {
		e.definitions = 0
	}
}

// drop removes a statement.
func (sh *shelf) drop(name string) {
	if e := sh.byName[name]; e != nil {
		sh.unlink(e)
		delete(sh.byName, name)
	}
}

func (sh *shelf) link(e *shelved) {
	e.older, e.newer = sh.newest, nil
	if sh.newest != nil {
		sh.newest.newer = e
	}
	if sh.newest = e; sh.oldest == nil {
		sh.oldest = e
	}
}

func (sh *shelf) unlink(e *shelved) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		sh.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		sh.oldest = e.newer
	}
}
