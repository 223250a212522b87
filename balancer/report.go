package balancer

import (
	"fmt"
	"strings"

	"github.com/howdah/howdah/parser"
)

// The words of Report.Route.
const (
	// RouteWordRead: a read node may serve it.
	RouteWordRead = "read"
	// RouteWordPrimary: it goes to the primary.
	RouteWordPrimary = "primary"
	// RouteWordHowdah: howdah answers it itself; no server gets it now.
	RouteWordHowdah = "howdah"
)

// Report is a decision as an operator reads it, in `howdah explain` and in
// EXPLAIN (HOWDAH). It holds names of objects but no literal of the text.
type Report struct {
	// Route is one of the RouteWord constants.
	Route string `json:"route"`
	// Node is where it would run now; empty if that is not known.
	Node string `json:"node,omitempty"`
	// Access is parser.Access's word for the whole text.
	Access string `json:"access"`
	// Rule is the Reason's name: the rule that decided.
	Rule string `json:"rule"`
	// Reason says in words why the rule spoke.
	Reason     string            `json:"reason"`
	Statements []StatementReport `json:"statements"`
	// Session are the parts of the session's state that rules looked at, as "name: value".
	Session []string `json:"session,omitempty"`
	// Notes say what the answer does not know.
	Notes []string `json:"notes,omitempty"`
}

// StatementReport is one statement of the text.
type StatementReport struct {
	Kind      string       `json:"kind"`
	Access    string       `json:"access"`
	Reason    string       `json:"reason,omitempty"`
	Relations []NameReport `json:"relations,omitempty"`
	Functions []NameReport `json:"functions,omitempty"`
}

// NameReport is a name of the text and how it was resolved.
type NameReport struct {
	Name     string `json:"name"`
	Resolved string `json:"resolved"`
}

// Explain reports on a decision that Decide made of the same input. env is what the
// verdict's names were resolved with; nil knows built-in names only.
func Explain(in *Input, d Decision, env *parser.Env) *Report {
	r := &Report{Rule: d.Reason.String(), Access: parser.AccessUnknown.String(), Route: routeWord(in, d)}
	if n := in.View.Node(d.Node); n != nil && r.Route != RouteWordHowdah {
		r.Node = n.Name
	}
	r.Statements = []StatementReport{}
	if v := in.Verdict; v != nil {
		r.Access = v.Access.String()
		for i := range v.Statements {
			r.Statements = append(r.Statements, explainStatement(&v.Statements[i], env))
		}
	}
	r.Reason = reasonInWords(r.Route, d)
	if w := &in.wish; w.Route != parser.RouteNone && isRead(in.Verdict) {
		switch d.Reason {
		case ReasonKept, ReasonDrawn, ReasonNoReadNode, ReasonBalanceOff:
			r.Notes = append(r.Notes, "a hint or redirect asks for "+w.String()+", which cannot be used for reads")
		}
	}
	return r
}

func routeWord(in *Input, d Decision) string {
	switch {
	case answersItself(in):
		return RouteWordHowdah
	case d.Target == ToRead, d.Reason == ReasonDrawn, d.Reason == ReasonKept:
		return RouteWordRead
	}
	return RouteWordPrimary
}

// answersItself is whether howdah answers without a server: a BEGIN, which goes
// along with the block's first statement, and the end of a block that had none.
func answersItself(in *Input) bool {
	v := in.Verdict
	if v == nil {
		return false
	}
	if v.Own && len(v.Statements) == 1 {
		return true
	}
	switch v.Single {
	case parser.KindBegin:
		return in.Session.Tx == TxNone
	case parser.KindCommit, parser.KindRollback:
		return in.Session.Tx == TxDeferred && !v.Statements[0].Chain
	}
	return false
}

func explainStatement(st *parser.Statement, env *parser.Env) StatementReport {
	s := StatementReport{Kind: st.Kind.String(), Access: st.Access.String(), Reason: st.Reason}
	relations, functions := parser.Describe(env, st)
	for _, m := range relations {
		s.Relations = append(s.Relations, NameReport{m.Name.String(), m.Words})
	}
	for _, m := range functions {
		s.Functions = append(s.Functions, NameReport{m.Name.String(), m.Words})
	}
	return s
}

// reasonInWords joins what the rule says with its detail.
func reasonInWords(route string, d Decision) string {
	words := reasonWords[d.Reason]
	switch {
	case route == RouteWordHowdah:
		return "howdah answers it itself"
	case words == "":
		words = d.Reason.String()
	}
	if d.Detail != "" {
		return words + ": " + d.Detail
	}
	return words
}

// reasonWords are the rules as sentences' beginnings, where the name is not enough.
var reasonWords = [reasons]string{
	ReasonFailedTransaction:  "the transaction block is aborted and stays where it failed",
	ReasonTransactionLost:    "the block was open on a server that is no longer the primary",
	ReasonStanding:           "an earlier statement of the block bound it to the primary",
	ReasonTransactionEnd:     "the block ends where it is open",
	ReasonTransactionNode:    "the block reads on where it reads",
	ReasonPinned:             "the session has what only the primary has",
	ReasonBalanceOff:         "routing.balance is off",
	ReasonSerializable:       "a standby has no SERIALIZABLE",
	ReasonSnapshot:           "a read-write block with one snapshot runs on one node",
	ReasonTransactionPrimary: "routing.transactions is primary",
	ReasonTransactionScoped:  "its answer is fixed for the block, which one node must give",
	ReasonTransactionMoved:   "the node where the block read cannot be used any more",
	ReasonWrite:              "it writes, locks or needs the primary",
	ReasonSessionState:       "it concerns the session or the node that answers",
	ReasonTransactionControl: "it controls the transaction",
	ReasonUnknown:            "it is not understood",
	ReasonHorizon:            "the read node does not have all yet that the session wrote or saw",
	ReasonKept:               "it only reads, and the session's read node can serve it",
	ReasonDrawn:              "it only reads, and a read node is drawn",
	ReasonNoReadNode:         "it only reads, but no node can be used for reads",
	ReasonNoPrimary:          "it waits for a primary",
	ReasonHint:               "a hint asks for it",
	ReasonRedirect:           "routing.redirect sends it there",
	ReasonLearned:            "a standby refused the same statement before",
	ReasonHealed:             "a read node refused it",
}

// Lines is the report as text, one fact a line.
func (r *Report) Lines() []string {
	lines := []string{"Route: " + r.Route}
	if r.Node != "" {
		lines = append(lines, "Node: "+r.Node)
	}
	lines = append(lines, "Access: "+r.Access, "Rule: "+r.Rule, "Reason: "+r.Reason)
	for i := range r.Statements {
		lines = r.Statements[i].appendLines(lines, i+1)
	}
	for _, s := range r.Session {
		lines = append(lines, "Session "+s)
	}
	for _, n := range r.Notes {
		lines = append(lines, "Note: "+n)
	}
	return lines
}

func (s *StatementReport) appendLines(lines []string, number int) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "Statement %d: %s, %s", number, s.Kind, s.Access)
	if s.Reason != "" {
		b.WriteString(" (" + s.Reason + ")")
	}
	lines = append(lines, b.String())
	for _, n := range s.Relations {
		lines = append(lines, "  Relation "+n.Name+": "+n.Resolved)
	}
	for _, n := range s.Functions {
		lines = append(lines, "  Function "+n.Name+": "+n.Resolved)
	}
	return lines
}
