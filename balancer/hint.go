package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Comments is what the comments that begin a text mean.
type Comments uint8

const (
	// CommentsHint obeys the hints in them.
	CommentsHint Comments = iota
	// CommentsIgnore gives them no meaning. Pgpool-II: allow_sql_comments = on.
	CommentsIgnore
	// CommentsPrimary obeys hints, and sends texts that begin with any other
	// comment to the primary. Pgpool-II: allow_sql_comments = off.
	CommentsPrimary
)

// wish is the hint that counts for a unit, and who said it.
type wish struct {
	parser.Hint
	source string
	// redirect: it is the configuration's, which no client asked for.
	redirect bool
}

// reason is the rule that obeying the wish is.
func (w *wish) reason() Reason {
	if w.redirect {
		return ReasonRedirect
	}
	return ReasonHint
}

// wished is the hint that counts: SET LOCAL before the comment before SET before
// the configuration's redirects. "auto" leaves only these.
func wished(in *Input) wish {
	s := &in.Session
	route := parser.RouteNone
	if s.RouteLocal.Route != parser.RouteNone {
		if route = s.RouteLocal.Route; route != parser.RouteAuto {
			return wish{Hint: s.RouteLocal, source: "SET LOCAL howdah.route"}
		}
	}
	if v := in.Verdict; v != nil && route == parser.RouteNone && v.Commented && s.Settings.Comments != CommentsIgnore {
		if route = v.Hint.Route; route != parser.RouteAuto && route != parser.RouteNone {
			return wish{Hint: v.Hint, source: "comment"}
		}
		if route == parser.RouteNone && s.Settings.Comments == CommentsPrimary {
			return wish{Hint: parser.Hint{Route: parser.RoutePrimary}, source: "comment"}
		}
	}
	if route == parser.RouteNone && s.Route.Route > parser.RouteAuto {
		return wish{Hint: s.Route, source: "SET howdah.route"}
	}
	if s.Redirect.Route != parser.RouteNone {
		return wish{Hint: s.Redirect, redirect: true}
	}
	return wish{}
}

// asksRead is whether a client asked for a read node, or for one by name.
func (w *wish) asksRead() bool {
	return !w.redirect && (w.Route == parser.RouteRead || w.Route == parser.RouteNode)
}

// trusts is whether the client vouches for the functions that are not known.
// What a standby has refused before is not tried again.
func (w *wish) trusts(in *Input) bool {
	v := in.Verdict
	return v != nil && v.Trustable && !in.Learned && w.asksRead()
}

// asksPrimary is whether reads are wished onto the primary.
func (w *wish) asksPrimary(in *Input) bool {
	switch w.Route {
	case parser.RoutePrimary:
		return true
	case parser.RouteNode:
		n := nodeNamed(in.View, w.Node)
		return n != nil && n.ID == in.View.Primary
	}
	return false
}

// ruleWish speaks for reads that are wished onto the primary.
func ruleWish(in *Input) (Decision, bool) {
	if w := &in.wish; w.Route != parser.RouteNone && isRead(in.Verdict) && w.asksPrimary(in) {
		return toPrimary(in, w.reason(), w.source, true), true
	}
	return Decision{}, false
}

// ruleLearned speaks for what a standby has refused before.
func ruleLearned(in *Input) (Decision, bool) {
	if in.Learned && isRead(in.Verdict) {
		return toPrimary(in, ReasonLearned, "", true), true
	}
	return Decision{}, false
}

// ruleWishedNode places a read where it is wished, if such a node can serve it.
func ruleWishedNode(in *Input) (Decision, bool) {
	w := &in.wish
	if w.Route == parser.RouteNone || !isRead(in.Verdict) && !opensReadOnly(in) && !w.trusts(in) {
		return Decision{}, false
	}
	n := wishedNode(in)
	switch {
	case n == nil && in.Session.Settings.Balance == BalanceOff && isRead(in.Verdict):
		return toPrimary(in, ReasonBalanceOff, "", true), true
	case n == nil:
		return Decision{}, false
	case n.Lagging != "" && in.View.Primary != cluster.NoNode:
		return toPrimary(in, ReasonLag, n.Lagging, false), true
	case reached(in, n) && n.Lagging == "":
		d := toRead(in, n.ID, w.reason())
		d.Detail = w.source
		if in.Session.ReadNode != cluster.NoNode && w.Route == parser.RouteNode {
			d.ReadNode = in.Session.ReadNode // one statement's wish does not move the others
		}
		return d, true
	case in.View.Primary == cluster.NoNode:
		return Decision{}, false
	}
	d := toPrimary(in, ReasonHorizon, n.Name, false)
	d.ReadNode = n.ID
	return d, true
}

// wishedNode is the standby that is wished for, or nil if there is none that can be used.
func wishedNode(in *Input) *cluster.Node {
	v, w := in.View, &in.wish
	if w.Route == parser.RouteNode {
		// The operator may send reads to a node of weight 0, which others never do; clients may not.
		n := nodeNamed(v, w.Node)
		if n == nil || n.ID == v.Primary || !usable(v, n) && !(w.redirect && isUpStandby(n)) {
			return nil
		}
		return n
	}
	if n := v.Node(keptNode(in)); n != nil && n.ID != v.Primary && usable(v, n) {
		return n
	}
	return v.Node(choose(in, func(n *cluster.Node) bool {
		return n.ID != v.Primary && usable(v, n) && n.Lagging == ""
	}))
}

func isUpStandby(n *cluster.Node) bool {
	return n.State == cluster.StateUp && n.Role == cluster.RoleStandby
}

// nodeNamed is the node of that name, or nil.
func nodeNamed(v *cluster.View, name string) *cluster.Node {
	for i := range v.Nodes {
		if v.Nodes[i].Name == name {
			return &v.Nodes[i]
		}
	}
	return nil
}
