package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// share is how many of the equal statements are called reads.
type share struct{ reads, equal int }

func (s share) String() string {
	if s.equal == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d (%.1f %%)", s.reads, s.equal, 100*float64(s.reads)/float64(s.equal))
}

func (s *share) add(isRead bool) {
	s.equal++
	if isRead {
		s.reads++
	}
}

// group is the disagreements that have one reason.
type group struct {
	reason   string
	count    int
	examples []label
}

// judgement is what the labels say of some opinion of the statements.
type judgement struct {
	primary, unstable int
	// wrong are calls of a read that the primary must have.
	wrong []label
	// all is of every stable equal statement, answered of those without an error,
	// builtin of those of them that call no functions but PostgreSQL's own.
	all, answered, builtin share
	// temporary is of those equal ones without an error that are in none of them, as their
	// sessions have temporary objects.
	temporary share
	missed    map[string]*group
}

// judge holds every label against an opinion.
func judge(labels []label, of func(*label) (opinion, bool)) *judgement {
	j := &judgement{missed: map[string]*group{}}
	for i := range labels {
		l := &labels[i]
		o, ok := of(l)
		switch {
		case !ok:
			continue
		case l.Label == labelPrimary:
			j.primary++
			if o.read {
				j.wrong = append(j.wrong, *l)
			}
			continue
		case l.Unstable:
			j.unstable++
			continue
		case o.temporary:
			if l.Code == "" {
				j.temporary.add(o.read)
			}
			continue
		}
		j.all.add(o.read)
		if l.Code != "" {
			continue
		}
		j.answered.add(o.read)
		if !l.Own {
			j.builtin.add(o.read)
		}
		if !o.read {
			j.miss(l, o.reason)
		}
	}
	return j
}

func (j *judgement) miss(l *label, reason string) {
	g := j.missed[reason]
	if g == nil {
		g = &group{reason: reason}
		j.missed[reason] = g
	}
	g.count++
	g.examples = append(g.examples, *l)
}

// printReport writes what the labels say of the parser, and of howdah if one was asked.
func printReport(out io.Writer, labels []label, n counts, examples int) {
	if n.Texts > 0 {
		fmt.Fprintf(out, "texts %d: session %d, in a failed transaction %d, untried %d, only in their context %d\n",
			n.Texts, n.Session, n.Failed, n.Untried, n.Context)
	}
	fmt.Fprintf(out, "\n# By text alone\n\n")
	judge(labels, byText).print(out, examples)
	if named := judge(labels, byNames); named.primary+named.all.equal > 0 {
		fmt.Fprintf(out, "\n# With the database's names, by howdah\n\n")
		named.print(out, examples)
	}
}

// print writes the report; at most examples of each group are shown.
func (j *judgement) print(out io.Writer, examples int) {
	fmt.Fprintf(out, "labelled: primary %d, equal %d, equal but unstable %d\n", j.primary, j.all.equal, j.unstable)
	fmt.Fprintf(out, "called reads, of all equal:             %v\n", j.all)
	fmt.Fprintf(out, "called reads, of those without error:   %v\n", j.answered)
	fmt.Fprintf(out, "called reads, of those of them whose functions are built in: %v\n", j.builtin)
	if j.temporary.equal > 0 {
		fmt.Fprintf(out, "left out, as their sessions have temporary objects: %v\n", j.temporary)
	}
	fmt.Fprintf(out, "\nWRONG: %d\n", len(j.wrong))
	for i := range j.wrong {
		l := &j.wrong[i]
		fmt.Fprintf(out, "  %s %s %s: %s\n", l.File, l.Why, l.Code, oneLine(l.SQL))
		fmt.Fprintf(out, "      standby: %s\n", oneLine(l.StandbySaid))
		if l.PrimarySaid != "" {
			fmt.Fprintf(out, "      primary: %s\n", oneLine(l.PrimarySaid))
		}
	}
	groups := make([]*group, 0, len(j.missed))
	for _, g := range j.missed {
		groups = append(groups, g)
	}
	sort.Slice(groups, func(a, b int) bool {
		if groups[a].count != groups[b].count {
			return groups[a].count > groups[b].count
		}
		return groups[a].reason < groups[b].reason
	})
	fmt.Fprintf(out, "\nEqual, but not called reads, by reason:\n")
	for _, g := range groups {
		fmt.Fprintf(out, "  %5d  %s\n", g.count, g.reason)
		for i := range min(examples, len(g.examples)) {
			fmt.Fprintf(out, "           %s: %s\n", g.examples[i].File, oneLine(g.examples[i].SQL))
		}
	}
}

func oneLine(text string) string {
	const most = 160
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = text[:most] + " …"
	}
	return text
}
