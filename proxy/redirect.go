package proxy

import (
	"fmt"
	"regexp"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
)

// Redirects are the rules of routing.redirect, in their order.
type Redirects []redirect

// redirect is one rule of routing.redirect.
type redirect struct {
	match   string // user, database or app
	pattern *regexp.Regexp
	hint    parser.Hint
	ratio   float64
}

// NewRedirects reads rules that Validate has checked. Patterns match whole
// names in any case, as Pgpool-II's do.
func NewRedirects(rules []configs.Redirect) (Redirects, error) {
	var all Redirects
	for i, r := range rules {
		pattern, err := regexp.Compile(`(?i)^(?:` + r.Pattern + `)$`)
		if err != nil {
			return nil, fmt.Errorf("read routing.redirect[%d]: %w", i, err)
		}
		hint := parser.Hint{Route: parser.RouteNode, Node: r.Node}
		switch r.Node {
		case "primary":
			hint = parser.Hint{Route: parser.RoutePrimary}
		case "standby":
			hint = parser.Hint{Route: parser.RouteRead}
		}
		all = append(all, redirect{match: r.Match, pattern: pattern, hint: hint, ratio: r.Ratio})
	}
	return all, nil
}

// Choose returns what the first rule that matches says, in as many of all cases as its
// ratio says; draw is a uniform number in [0,1).
func (all Redirects) Choose(user, database, application string, draw float64) parser.Hint {
	for i := range all {
		r := &all[i]
		name := map[string]string{"user": user, "database": database, "app": application}[r.match]
		if !r.pattern.MatchString(name) {
			continue
		}
		if draw < r.ratio {
			return r.hint
		}
		return parser.Hint{}
	}
	return parser.Hint{}
}

// redirect asks routing.redirect anew: at the session's start, and when its
// application_name has changed.
func (s *session) redirect() {
	application, _ := s.told.Get("application_name")
	s.in.Session.Redirect = s.set.redirects.Choose(s.key.User, s.key.Database, application, s.drawFloat())
}

// drawFloat is a uniform number in [0,1).
func (s *session) drawFloat() float64 {
	return float64(s.rand.Uint64()>>11) / (1 << 53)
}
