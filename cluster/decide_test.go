package cluster

import (
	"flag"
	"fmt"
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
		o, err := parseObservation(words[1:], why, d.now)
		if err != nil {
			return "", err
		}
		i := 0
		for i < len(prev.Nodes) && prev.Nodes[i].Name != words[0] {
			i++
		}
		if i == len(prev.Nodes) {
			prev.Nodes = append(prev.Nodes, Node{ID: NodeID(i), Name: words[0], Weight: 1})
			d.known = append(d.known, observation{})
		}
		d.known[i] = merge(d.known[i], o)
	}
	d.view = decide(&prev, d.known, d.now)
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
	o := observation{evidence: e, why: why}
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

// Whatever is observed, at most one node is up as primary, and it is View.Primary;
// and whatever decide returns is made anew.
func TestDecideInvariants(t *testing.T) {
	r := newRandom(t)
	systems := []string{"", "A", "A", "A", "B"}
	view := &View{Primary: NoNode, last: NoNode, Nodes: []Node{{ID: 0, Name: "a"}, {ID: 1, Name: "b"}, {ID: 2, Name: "c"}}}
	known := make([]observation, 3)
	primaries := 0
	for step := range 4000 {
		i := r.IntN(3)
		o := observation{evidence: evidence(r.IntN(int(evidenceLogin) + 1))}
		if r.IntN(2) == 0 {
			o.evidence = evidenceAnswered
		}
		if o.evidence == evidenceAnswered {
			o.asked = int64(step + 1)
			o.server = server{role: Role(1 + r.IntN(2)), timeline: uint32(r.IntN(4)), systemID: systems[r.IntN(len(systems))]}
		}
		known[i] = merge(known[i], o)
		before := fmt.Sprintf("%+v", *view)
		next := decide(view, known, int64(step+1))
		if after := fmt.Sprintf("%+v", *view); after != before {
			t.Fatalf("decide changed the view before:\n%s\n%s", before, after)
		}
		if next.Epoch < view.Epoch || changed(view, next) != (next.Epoch > view.Epoch) {
			t.Fatalf("epoch %d after %d:\n%+v\n%+v", next.Epoch, view.Epoch, *view, *next)
		}
		found := NoNode
		for _, n := range next.Nodes {
			if n.State == StateUp && n.Role == RolePrimary {
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
