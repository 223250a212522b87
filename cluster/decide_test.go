package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txt; commit them only if you understand every change")

// TestDecide runs the cases in testdata/decide*.txt. A file holds steps; each
// is what was observed since the step before, "----", and the view's change:
//
//	at 5s                                     the time; it never goes back
//	pg0 answered primary tli=1 sys=A lsn=0/10 an answer (tli 1 and sys A if not said)
//	pg1 refused: some text                    or starting, silent, login, removed, none
//	pg1 silent heard: some text               but a session got an answer meanwhile; stalled: howdah stood still
//	pg1 fresh refused: some text              of a connection made anew
//	rules silences=3 hold=2s failback=off detached=pg1 attached=pg2 barred=pg0
//
// A node is made where it is first named. Comments begin with '#'.
func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/decide*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			d := decider{view: &View{Primary: NoNode, last: NoNode}}
			if err := d.rule(nil); err != nil {
				t.Fatal(err)
			}
			for _, step := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
				input, want, _ := strings.Cut(step, "\n----")
				got, err := d.step(input)
				if err != nil {
					t.Fatalf("%v in step\n%s", err, input)
				}
				if want = strings.TrimSpace(want); got != want && !*update {
					t.Errorf("step\n%s\n---- got\n%s\n---- want\n%s", input, got, want)
				}
				out = append(out, input+"\n----\n"+got)
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// decider carries the state of a file's steps.
type decider struct {
	view  *View
	known []observation
	now   int64
	rules rules
}

// rule takes in the words of a line that begins with "rules".
func (d *decider) rule(words []string) error {
	d.rules = rules{silences: 1, autoFailback: true, holdDown: time.Second}
	for _, w := range words {
		var err error
		key, value, _ := strings.Cut(w, "=")
		switch o := &d.rules.orders; key {
		case "silences":
			d.rules.silences, err = strconv.Atoi(value)
		case "hold":
			d.rules.holdDown, err = time.ParseDuration(value)
		case "failback":
			d.rules.autoFailback = value == "on"
		case "detached":
			o.detached = map[string]string{value: "detached"}
		case "barred":
			o.barred = map[string]string{value: "barred"}
		case "record": // system:node:timeline
			fields := strings.Split(value, ":")
			var tli uint64
			o.floorSystem, o.floorNode = fields[0], fields[1]
			tli, err = strconv.ParseUint(fields[2], 10, 32)
			o.floor = uint32(tli)
		case "unsettled":
			o.unsettled = "a failover is under way"
		case "attached":
			o.attached = map[string]int64{value: d.now}
		default:
			err = fmt.Errorf("no such rule: %q", w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decider) step(input string) (string, error) {
	prev := *d.view
	prev.Nodes = append([]Node(nil), d.view.Nodes...)
	for _, line := range strings.Split(input, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line, why, _ := strings.Cut(strings.TrimSpace(line), ": ")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "at" {
			at, err := time.ParseDuration(words[1])
			if err != nil {
				return "", err
			}
			d.now = int64(at)
			continue
		}
		if words[0] == "rules" {
			if err := d.rule(words[1:]); err != nil {
				return "", err
			}
			continue
		}
		fresh := words[1] == "fresh"
		if fresh {
			words = words[1:]
		}
		o, err := parseObservation(words[1:], why, d.now)
		if err != nil {
			return "", err
		}
		node, _, _ := strings.Cut(line, " ")
		i := 0
		for i < len(prev.Nodes) && prev.Nodes[i].Name != node {
			i++
		}
		if i == len(prev.Nodes) {
			prev.Nodes = append(prev.Nodes, Node{ID: NodeID(i), Name: node, Weight: 1})
			d.known = append(d.known, observation{})
		}
		if fresh {
			d.known[i] = mergeFresh(d.known[i], o)
		} else {
			d.known[i] = merge(d.known[i], o)
		}
	}
	d.view = decide(&prev, d.known, d.rules, d.now)
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d primary %s", d.view.Epoch, name(d.view, d.view.Primary))
	for i := range d.view.Nodes {
		n := &d.view.Nodes[i]
		fmt.Fprintf(&b, "\n%s %s %s", n.Name, n.State, n.Role)
		if n.Reason != "" {
			fmt.Fprintf(&b, ": %s", n.Reason)
		}
	}
	return b.String(), nil
}

func parseObservation(words []string, why string, now int64) (observation, error) {
	kinds := map[string]evidence{
		"none": evidenceNone, "removed": evidenceRemoved, "answered": evidenceAnswered, "starting": evidenceStarting,
		"refused": evidenceRefused, "silent": evidenceSilent, "login": evidenceLogin,
	}
	e, ok := kinds[words[0]]
	if !ok {
		return observation{}, fmt.Errorf("no such evidence: %q", words[0])
	}
	o := observation{evidence: e, why: why, at: max(now, 1), heard: len(words) > 1 && words[1] == "heard", stalled: len(words) > 1 && words[1] == "stalled"}
	if e != evidenceAnswered {
		return o, nil
	}
	o.asked = max(now, 1)
	o.server = server{timeline: 1, systemID: "A"}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "primary":
			o.server.role = RolePrimary
		case "standby":
			o.server.role = RoleStandby
		case "sys":
			o.server.systemID = value
		case "streams":
			o.server.receiver = receiver{known: true, running: true, streaming: true}
		case "unfed":
			o.server.receiver = receiver{known: true}
		case "lsn":
			lsn, err := ParseLSN(value)
			if err != nil {
				return o, err
			}
			o.server.lsn = lsn
		case "history": // tli@lsn,tli@lsn
			for _, f := range strings.Split(value, ",") {
				tli, at, _ := strings.Cut(f, "@")
				o.server.detail.history = append(o.server.detail.history, parseHistory(tli+"\t"+at)...)
			}
		case "tli":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return o, err
			}
			o.server.timeline = uint32(n)
		default:
			return o, fmt.Errorf("no such word: %q", w)
		}
	}
	return o, nil
}

// Whatever is observed and ordered, at most one node is up or suspect as primary, and it is View.Primary; it
// is none that was barred; no state follows another that may not (enter would panic),
// and whatever decide returns is made anew.
func TestDecideInvariants(t *testing.T) {
	r := newRandom(t)
	systems := []string{"", "A", "A", "A", "B"}
	view := &View{Primary: NoNode, last: NoNode, Nodes: []Node{{ID: 0, Name: "a"}, {ID: 1, Name: "b"}, {ID: 2, Name: "c"}}}
	known := make([]observation, 3)
	primaries := 0
	var rules rules
	for step := range 4000 {
		i := r.IntN(3)
		o := observation{evidence: evidence(r.IntN(int(evidenceLogin) + 1)), at: int64(step + 1)}
		switch {
		case known[i].evidence == evidenceRemoved:
			o.evidence = evidenceNone // what is configured again is not known yet
		case r.IntN(2) == 0:
			o.evidence = evidenceAnswered
		}
		if r.IntN(10) == 0 {
			rules = randomRules(r)
		}
		if o.evidence == evidenceAnswered {
			o.asked = int64(step + 1)
			o.server = server{role: Role(1 + r.IntN(2)), timeline: uint32(r.IntN(4)), systemID: systems[r.IntN(len(systems))],
				lsn: LSN(r.IntN(3)), receiver: receiver{known: r.IntN(2) == 0, streaming: r.IntN(2) == 0}}
			if r.IntN(2) == 0 {
				o.server.detail.history = []fork{{1, 1}, {2, 2}}[:r.IntN(3)]
			}
		}
		if r.IntN(10) == 0 && known[i].evidence != evidenceRemoved {
			known[i] = mergeFresh(known[i], observation{evidence: []evidence{evidenceAnswered, evidenceRefused, evidenceSilent}[r.IntN(3)]})
		} else {
			known[i] = merge(known[i], o)
		}
		before := fmt.Sprintf("%+v", *view)
		next := decide(view, known, rules, int64(step+1))
		if after := fmt.Sprintf("%+v", *view); after != before {
			t.Fatalf("decide changed the view before:\n%s\n%s", before, after)
		}
		if next.Epoch < view.Epoch || changed(view, next) != (next.Epoch > view.Epoch) {
			t.Fatalf("epoch %d after %d:\n%+v\n%+v", next.Epoch, view.Epoch, *view, *next)
		}
		found := NoNode
		for _, n := range next.Nodes {
			if (n.State == StateUp || n.State == StateSuspect) && n.Role == RolePrimary {
				if rules.orders.barred[n.Name] != "" {
					t.Fatalf("%s is barred: %+v", n.Name, *next)
				}
				if found != NoNode {
					t.Fatalf("two primaries: %+v", *next)
				}
				found = n.ID
			}
			if n.State == StateUp && n.Role == RoleUnknown {
				t.Fatalf("up without a role: %+v", *next)
			}
		}
		if found != next.Primary {
			t.Fatalf("primary is %d, but up as such is %d: %+v", next.Primary, found, *next)
		}
		if found != NoNode {
			primaries++
		}
		view = next
	}
	if primaries == 0 {
		t.Fatal("the random steps never had a primary")
	}
}

func randomRules(r *rand.Rand) rules {
	names := []string{"a", "b", "c"}
	rules := rules{silences: 1 + r.IntN(3), autoFailback: r.IntN(3) > 0, holdDown: time.Duration(r.IntN(40))}
	switch o := &rules.orders; r.IntN(6) {
	case 0:
		o.detached = map[string]string{names[r.IntN(3)]: "detached"}
	case 1:
		o.attached = map[string]int64{names[r.IntN(3)]: int64(r.IntN(4000))}
	case 2:
		o.barred = map[string]string{names[r.IntN(3)]: "barred"}
	case 3:
		o.unsettled = "under way"
	}
	return rules
}

// The states' table is complete: all are named, and one that is used can be left and come back.
func TestStateSteps(t *testing.T) {
	for s := range states {
		if s.String() == "" || s.String() == "invalid" {
			t.Errorf("state %d has no name", s)
		}
		if len(stateSteps[s]) == 0 || !s.may(s) {
			t.Errorf("%v cannot be left, or not stay", s)
		}
		if s != StateUnused && !s.may(StateUnused) {
			t.Errorf("%v cannot be removed", s)
		}
	}
	if StateUnused.may(StateUp) {
		t.Error("a node is up that nobody has asked since it was configured")
	}
}
