package proxy

import (
	"github.com/howdah/howdah/parser"
)

// prepared is one prepared statement of the session, as the client made it by
// a Parse message. It is made on a server connection when it is first needed
// there, by that same message.
type prepared struct {
	name   string
	parse  []byte // the whole Parse message
	shared string // its name on connections that sessions share; empty if it is none of these
	// definitions is the database's count of redefinitions when the statement was made.
	definitions uint64
	verdict     *parser.Verdict
	// on holds, per lease slot, the id of the lease that has the statement (or
	// was sent its Parse); an id is never used again, so an old one means absent.
	on [2]uint64
	// told are the columns of its result that the client was told of, found those that howdah found; changed
	// says that these differ on a connection that has it under its own name. borrowed: its Parse was
	// answered by a statement that was there.
	told, found       columns
	row               uint64 // stands for the RowDescription that told was read from, if the fast way read it
	changed, borrowed bool
	refusal           []byte // the error with which it could not be made unseen
	// used is the number of the last unit that referred to the statement.
	used uint64
}

// known reports whether the statement can be made on another connection; one
// that was too long to hold, or malformed, cannot.
func (p *prepared) known() bool { return len(p.parse) > 0 }

// statements are the session's prepared statements and portals.
type statements struct {
	named   map[string]*prepared // nil until the first
	unnamed *prepared            // nil if there is none
	spare   *prepared            // a retired unnamed statement, to be used again
	// held is how many bytes the named statements take.
	held int
	// portals hold the verdict of the statement each open portal runs.
	portals map[string]*parser.Verdict
	portal  *parser.Verdict // the unnamed portal's
}

// find returns the statement, nil if the client never prepared it by Parse.
// The conversion of name allocates nothing.
func (st *statements) find(name []byte) *prepared {
	if len(name) == 0 {
		return st.unnamed
	}
	return st.named[string(name)]
}

// parsed takes in a Parse message of unit number unit.
func (st *statements) parsed(name, msg []byte, v *parser.Verdict, unit uint64) *prepared {
	if len(name) > 0 {
		p := &prepared{name: string(name), parse: append([]byte(nil), msg...), verdict: v, used: unit}
		st.keep(p)
		return p
	}
	// The statement that it displaces stays what it was for as long as the unit
	// is not answered: earlier messages use it, and the server may skip this one.
	p := st.spare
	if p == nil || p.used == unit {
		p = &prepared{}
	}
	p.parse = append(p.parse[:0], msg...)
	p.verdict, p.used, p.on = v, unit, [2]uint64{}
	p.told, p.found, p.changed, p.borrowed = 0, 0, false, false
	st.displaceUnnamed(unit)
	st.unnamed = p
	return p
}

// displaceUnnamed ends the unnamed statement, as the next one and a simple Query
// do, and returns it; nil if there is none.
func (st *statements) displaceUnnamed(unit uint64) *prepared {
	p := st.unnamed
	st.unnamed, st.spare = nil, p
	if p != nil {
		p.used = unit
	}
	return p
}

// replaceUnnamed undoes displaceUnnamed: the message that displaced p was skipped.
func (st *statements) replaceUnnamed(p *prepared) {
	st.unnamed, st.spare = p, st.unnamed
}

// forget removes p if it still is the statement of its name.
func (st *statements) forget(p *prepared) {
	if p.name == "" {
		if st.unnamed == p {
			st.unnamed, st.spare = nil, p
		}
	} else if st.named[p.name] == p {
		delete(st.named, p.name)
		st.held -= p.size()
	}
}

// keep takes in a named statement.
func (st *statements) keep(p *prepared) {
	if st.named == nil {
		st.named = map[string]*prepared{}
	}
	if old := st.named[p.name]; old != nil {
		st.held -= old.size()
	}
	st.named[p.name] = p
	st.held += p.size()
}

// forgetAll removes all named statements.
func (st *statements) forgetAll() {
	clear(st.named)
	st.held = 0
}

// preparedSize is about what a statement takes besides its text and name.
const preparedSize = 512

func (p *prepared) size() int { return preparedSize + 2*len(p.name) + cap(p.parse) }

// restore puts back a statement whose Close was not carried out.
func (st *statements) restore(p *prepared) {
	if p.name == "" {
		if st.unnamed == nil {
			st.unnamed = p
			if st.spare == p {
				st.spare = nil
			}
		}
	} else if st.named[p.name] == nil {
		st.keep(p)
	}
}

// maxPortalName is the longest name of a portal that is remembered.
const maxPortalName = 256

// bound notes which statement a portal runs. Of more than limit named portals the
// rest stay unknown, which makes them the primary's.
func (st *statements) bound(portal []byte, v *parser.Verdict, limit int) {
	if len(portal) == 0 {
		st.portal = v
		return
	}
	if len(st.portals) >= limit || len(portal) > maxPortalName {
		delete(st.portals, string(portal))
		return
	}
	if st.portals == nil {
		st.portals = map[string]*parser.Verdict{}
	}
	st.portals[string(portal)] = v
}

func (st *statements) portalVerdict(name []byte) *parser.Verdict {
	if len(name) == 0 {
		return st.portal
	}
	return st.portals[string(name)]
}

// closePortals forgets all portals: they end with their transaction.
func (st *statements) closePortals() {
	st.portal = nil
	clear(st.portals)
}
