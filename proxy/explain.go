package proxy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// explainOwn answers EXPLAIN (HOWDAH): where the statement would run now, and
// why, in lines. v is the verdict on the EXPLAIN, whose comments count for what it explains.
func (s *session) explainOwn(v *parser.Verdict, st *parser.Statement) []string {
	explained := *s.judge([]byte(st.Explained))
	var env *parser.Env
	if s.names.database != nil {
		env = s.environment()
		explained = *parser.Resolve(&explained, env)
	}
	if v.Hint.Route != parser.RouteNone {
		explained.Commented, explained.Hint = true, v.Hint
	}
	in := s.in
	s.prepare(&in, &explained)
	r := balancer.Explain(&in, balancer.Decide(&in), env)
	r.Session = s.describe(&in)
	if st.Object == "json" {
		text, err := json.Marshal(r)
		if err == nil {
			return []string{string(text)}
		}
	}
	return r.Lines()
}

// describe says what of the session the rules look at.
func (s *session) describe(in *balancer.Input) []string {
	bs, view := &in.Session, in.View
	lines := []string{"transaction: " + describeBlock(bs, view)}
	add := func(name, value string) {
		if value != "" && value != "none" {
			lines = append(lines, name+": "+value)
		}
	}
	add("pin", bs.Pinned.String())
	add("howdah.route (SET LOCAL)", bs.RouteLocal.String())
	add("howdah.route", bs.Route.String())
	add("redirect", bs.Redirect.String())
	n := view.Node(bs.ReadNode)
	if n == nil {
		return append(lines, "read node: not drawn yet")
	}
	lines = append(lines, "read node: "+n.Name)
	if n.Role == cluster.RoleStandby && bs.Settings.Consistency != balancer.ConsistencyNone {
		behind := "has all that the session wrote or saw"
		if late := max(bs.FloorPrimary, lastSeen(bs, n)) - n.Horizon; late > 0 {
			behind = fmt.Sprintf("its horizon is %.1f ms too old", float64(late)/1e6)
		}
		lines = append(lines, "horizon: "+behind)
	}
	return lines
}

// lastSeen is the time that bounds n because of what another standby showed.
func lastSeen(bs *balancer.Session, n *cluster.Node) int64 {
	if n.ID == bs.LastReadNode {
		return 0
	}
	return bs.LastReadTime
}

func describeBlock(bs *balancer.Session, view *cluster.View) string {
	word := map[balancer.TxState]string{balancer.TxNone: "none", balancer.TxDeferred: "begun, on no server yet",
		balancer.TxOpen: "open", balancer.TxFailed: "aborted"}[bs.Tx]
	var more []string
	if n := view.Node(bs.TxNode); n != nil && bs.Tx != balancer.TxNone {
		more = append(more, "on "+n.Name)
	}
	if bs.TxPrimary {
		more = append(more, "bound to the primary")
	}
	if bs.TxReadOnly {
		more = append(more, "read only")
	}
	if bs.TxIsolation > parser.IsolationReadCommitted {
		more = append(more, bs.TxIsolation.String())
	}
	if len(more) > 0 {
		word += " (" + strings.Join(more, ", ") + ")"
	}
	return word
}
