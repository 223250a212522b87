package proxy

import (
	"net"
	"strings"

	"github.com/howdah/howdah/parser"
)

// Connections are alike only if their startup parameters are. Clients' application names are
// rarely alike, so where sessions share connections the name is no parameter of theirs, but a
// setting with which the session begins. The same holds where each client's name is its own, because its address is in it.

const applicationName = "application_name"

// maxBase is the longest application_name that becomes a setting; servers cut it off sooner.
const maxBase = 200

// takeBase removes from a startup request what its session begins with instead.
func (req *startupRequest) takeBase(set *settings) []setting {
	adds := set.pool.ApplicationNameAddHost
	name := req.application
	if !req.key.Shared && !adds || !isPrintable(name) || len(name) > maxBase {
		return nil
	}
	if adds {
		from := "unix socket"
		if _, ok := req.from.(*net.TCPAddr); ok {
			from = req.from.String()
		}
		name = strings.TrimPrefix(name+" - "+from, " - ")
	}
	if name == "" {
		return nil
	}
	req.key.Params = strings.Replace("\x00"+req.key.Params, "\x00"+applicationName+"\x00"+req.application+"\x00", "\x00", 1)[1:]
	return []setting{{applicationName, "SET application_name = '" + strings.ReplaceAll(name, "'", "''") + "'", name}}
}

// isPrintable is whether text is the same in every encoding, and in a literal whatever the settings.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == '\\' {
			return false
		}
	}
	return true
}

// beginWith has the session begin with settings, of which its client is told.
func (s *session) beginWith(base []setting) {
	s.state.base = base
	s.state.rebase()
	for _, b := range base {
		s.told = s.told.With(b.name, b.value)
	}
}

// resets is whether the unit takes settings back to what the connection began with.
func (u *unit) resets() bool {
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil || !v.Stateful {
			continue
		}
		for j := range v.Statements {
			st := &v.Statements[j]
			if st.Kind == parser.KindDiscard || st.Set == parser.SetReset || st.Set == parser.SetResetAll {
				return true
			}
		}
	}
	return false
}
