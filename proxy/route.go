package proxy

import (
	"strings"

	"github.com/howdah/howdah/parser"
)

// reroute tells the balancer of howdah.route as it is now, with what the open
// transaction has made of it.
func (s *session) reroute() {
	st, bs := &s.state, &s.in.Session
	st.rerouted = false
	route, local := st.route, parser.Hint{}
	for _, p := range st.pending {
		switch {
		case p.Set == parser.SetResetAll, p.Kind == parser.KindDiscard && p.Object == "all":
			route, local = st.firstRoute, parser.Hint{}
		case p.Setting != routeSetting:
		case p.Set == parser.SetLocal:
			if local = hintOf(p); local.Route == parser.RouteNone {
				local = parser.Hint{Route: parser.RouteAuto}
			}
		default:
			route, local = st.routeAfter(p), parser.Hint{}
		}
	}
	bs.Route, bs.RouteLocal = route, local
}

// routeAfter is what howdah.route is for the session after a SET or RESET.
func (st *state) routeAfter(p *parser.Statement) parser.Hint {
	if p.Set == parser.SetValue {
		return hintOf(p)
	}
	return st.firstRoute
}

// hintOf is the value of a SET that has been checked.
func hintOf(p *parser.Statement) parser.Hint {
	h, _ := parser.ParseRoute(p.Value)
	return h
}

// route is howdah.route as SHOW shows it.
func (s *session) route() string {
	if s.state.rerouted {
		s.reroute()
	}
	bs := &s.in.Session
	for _, h := range []parser.Hint{bs.RouteLocal, bs.Route} {
		if h.Route != parser.RouteNone {
			return h.String()
		}
	}
	return "auto"
}

// startRoute sets what a fresh session has: howdah.route of the startup packet, or else of
// the role or database, and the configuration's redirect.
func (s *session) startRoute(req *startupRequest, p *profile) error {
	if req.route != nil {
		// As strict as servers are with the settings of a startup packet.
		st := parser.Statement{Kind: parser.KindSet, Set: parser.SetValue, Setting: routeSetting, Value: *req.route}
		if err := s.checkOwn(&st); err != nil {
			return err
		}
		s.state.firstRoute, _ = parser.ParseRoute(*req.route)
	} else if p.route != "" {
		var ok bool
		if s.state.firstRoute, ok = parser.ParseRoute(p.route); !ok {
			s.srv.log.Warn("howdah.route of a role or database is not understood", "user", s.key.User, "database", s.key.Database)
		}
	}
	s.state.route, s.state.rerouted = s.state.firstRoute, true
	s.redirect()
	return nil
}

// ownParam takes in a startup parameter if it is howdah's. Servers do not get it.
func (req *startupRequest) ownParam(name, value string) bool {
	if !strings.HasPrefix(strings.ToLower(name), "howdah.") {
		return false
	}
	if strings.EqualFold(name, routeSetting) {
		req.route = &value
	}
	return true
}

// takeOwn removes howdah's settings from the startup parameter "options"
// (-c name=value, --name=value), and takes them in.
func (req *startupRequest) takeOwn(options string) string {
	if !strings.Contains(strings.ToLower(options), "howdah.") {
		return options
	}
	words := splitOptions(options)
	var kept []string
	for i := 0; i < len(words); i++ {
		text, used := words[i], 1
		switch {
		case text == "-c" && i+1 < len(words):
			text, used = words[i+1], 2
		case strings.HasPrefix(text, "-c"), strings.HasPrefix(text, "--"):
			text = text[2:]
		default:
			text = ""
		}
		name, value, _ := strings.Cut(text, "=")
		if !req.ownParam(name, value) {
			for _, w := range words[i : i+used] {
				kept = append(kept, quoteOption(w))
			}
		}
		i += used - 1
	}
	return strings.Join(kept, " ")
}

// splitOptions splits as PostgreSQL does: at white space, of which a backslash
// makes any character an ordinary one (pg_split_opts).
func splitOptions(options string) []string {
	var words []string
	var word []byte
	in := false
	for i := 0; i < len(options); i++ {
		c := options[i]
		if strings.IndexByte(" \t\n\r\v\f", c) >= 0 {
			if in {
				words, word, in = append(words, string(word)), nil, false
			}
			continue
		}
		if c == '\\' {
			if i++; i < len(options) {
				c = options[i]
			} else {
				break
			}
		}
		word, in = append(word, c), true
	}
	if in {
		words = append(words, string(word))
	}
	return words
}

func quoteOption(word string) string {
	var b strings.Builder
	for i := range len(word) {
		if strings.IndexByte(" \t\n\r\v\f\\", word[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(word[i])
	}
	return b.String()
}
