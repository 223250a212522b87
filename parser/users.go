package parser

// everything stands, in Knowledge.users, for all statements there are.
const everything = ""

// noteUsers notes which objects use a name: in the SQL that they run, by what they are made of, or, of functions that
// are not understood, by the look of their source. Names count without schemas, and of whatever kind.
func (b *builder) noteUsers() {
	b.k.users = map[string][]string{}
	for caller, calls := range b.calls {
		for _, name := range calls {
			b.user(name.Name, caller)
		}
	}
	for _, o := range b.objects {
		name := o.name
		for _, part := range o.uses {
			b.user(part.name, name)
		}
		for _, t := range o.texts {
			b.usersOf(t.verdict, name)
		}
	}
	for _, o := range b.k.implicit {
		for _, part := range o.uses {
			b.user(part.name, everything)
		}
	}
}

// usersOf notes what user uses in a text.
func (b *builder) usersOf(v *Verdict, user string) {
	for i := range v.Statements {
		st := &v.Statements[i]
		for _, lists := range [...][]Name{st.Relations, st.Functions} {
			for _, n := range lists {
				b.user(n.Name, user)
			}
		}
		if st.Uses == nil {
			continue
		}
		for _, lists := range [...][]Name{st.Uses.Operators, st.Uses.Types} {
			for _, n := range lists {
				b.user(n.Name, user)
			}
		}
		for _, field := range st.Uses.Fields {
			b.user(field, user)
		}
	}
}

// user notes one use. What is noted of one object comes together, so that doubles are next to each other.
func (b *builder) user(name, user string) {
	list := b.k.users[name]
	if name == user || len(list) > 0 && list[len(list)-1] == user {
		return
	}
	b.k.users[name] = append(list, user)
	b.k.bytes += userSize
}

// userSize is about what one use takes.
const userSize = 32

// WithUsers adds to names what uses one of them, and what uses these in turn. It reports whether that is
// everything. A nil Knowledge adds none.
func (k *Knowledge) WithUsers(names map[string]bool) (all bool) {
	if k == nil {
		return false
	}
	var next []string
	for name := range names {
		next = append(next, k.users[name]...)
	}
	for len(next) > 0 {
		last := len(next) - 1
		name := next[last]
		if next = next[:last]; name == everything {
			return true
		}
		if !names[name] {
			names[name] = true
			next = append(next, k.users[name]...)
		}
	}
	return false
}

// Hidden are the names of functions of which one may hide another, in another schema.
func (k *Knowledge) Hidden() []string {
	var names []string
	for name, list := range k.functions {
		for _, fn := range list[1:] {
			if fn.schema != list[0].schema {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// IsOrdinary is whether reading a relation of that name is a read, whatever its schema.
func (k *Knowledge) IsOrdinary(name string) bool { return len(k.relations[name]) == 0 }
