package balancer_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txt; commit them only if you understand every change")

// TestDecide runs the cases in testdata. A case is a title (a comment line),
// lines of input, "----", and the decision:
//
//	node pg0 primary weight=1          a node; standby horizon=50; down; "unused" is a false primary
//	session read=pg1 floor=40 …        see parseSession
//	verdict read | write | begin …     see parseVerdict
//	written 70 | in-flight             when what is read was last written, for consistency-cluster
//	load pg1 latency=5 …               see parseLoad
//	draw 0.5 [not-exploring]           where in [0,1) the random number falls; 0 if not said
//
// The node lines at a file's head, before the first blank line, are for all its cases.
func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runCases(t, file) })
	}
}

func runCases(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	out := blocks[:1]
	for _, block := range blocks[1:] {
		input, want, _ := strings.Cut(block, "\n----")
		in, err := parseInput(blocks[0] + "\n" + input)
		if err != nil {
			t.Fatalf("%v in case\n%s", err, input)
		}
		d := balancer.Decide(in)
		got := show(in, d)
		if want = strings.TrimSpace(want); got != want && !*update {
			t.Errorf("%s\n---- got\n%s\n---- want\n%s", input, got, want)
		}
		out = append(out, input+"\n----\n"+got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func show(in *balancer.Input, d balancer.Decision) string {
	s := nodeName(in.View, d.Node) + ": " + d.Reason.String()
	if d.Detail != "" {
		s += " (" + d.Detail + ")"
	}
	if d.Standing {
		s += ", standing"
	} else if d.Effect {
		s += ", effect"
	}
	if d.ReadNode != in.Session.ReadNode {
		s += ", read node " + nodeName(in.View, d.ReadNode)
	}
	return s
}

func nodeName(v *cluster.View, id cluster.NodeID) string {
	if n := v.Node(id); n != nil {
		return n.Name
	}
	return "none"
}

func parseInput(text string) (*balancer.Input, error) {
	in := &balancer.Input{View: &cluster.View{Primary: cluster.NoNode}, Session: balancer.NewSession(balancer.Settings{})}
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var err error
		switch words[0] {
		case "node":
			err = parseNode(in.View, words[1:])
		case "session":
			err = parseSession(in.View, &in.Session, words[1:])
		case "verdict":
			in.Verdict, err = parseVerdict(words[1:])
		case "written":
			if in.Written = balancer.WriteInFlight; words[1] != "in-flight" {
				in.Written, err = strconv.ParseInt(words[1], 10, 64)
			}
		case "load":
			err = parseLoad(in, words[1:])
		case "learned":
			in.Learned = true
		case "draw":
			var at float64
			at, err = strconv.ParseFloat(words[1], 64)
			in.Random = uint64(at*(1<<63)*2) &^ 0x7ff
			if len(words) > 2 && words[2] == "not-exploring" {
				in.Random |= 0x7ff
			}
		default:
			err = fmt.Errorf("no such line: %q", line)
		}
		if err != nil {
			return nil, err
		}
	}
	return in, nil
}

// parseNode reads "NAME ROLE-OR-STATE key=value…"; a name that is there already is changed.
func parseNode(v *cluster.View, words []string) error {
	i := 0
	for i < len(v.Nodes) && v.Nodes[i].Name != words[0] {
		i++
	}
	if i == len(v.Nodes) {
		v.Nodes = append(v.Nodes, cluster.Node{ID: cluster.NodeID(i), Name: words[0], Weight: 1})
	}
	n := &v.Nodes[i]
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "primary":
			n.State, n.Role, n.Horizon, v.Primary = cluster.StateUp, cluster.RolePrimary, math.MaxInt64, n.ID
		case "standby":
			n.State, n.Role = cluster.StateUp, cluster.RoleStandby
		case "down":
			n.State = cluster.StateDown
			if v.Primary == n.ID {
				v.Primary = cluster.NoNode
			}
		case "unused":
			n.State, n.Role = cluster.StateUp, cluster.RolePrimary
		case "weight":
			n.Weight, err = strconv.ParseFloat(value, 64)
		case "lag": // bytes behind
			n.Behind.Known = true
			n.Behind.Bytes, err = strconv.ParseUint(value, 10, 64)
		case "lagging": // over a limit
			n.Lagging = "lags"
		case "horizon":
			n.Horizon, err = strconv.ParseInt(value, 10, 64)
		default:
			err = fmt.Errorf("no such word of a node: %q", w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseLoad reads "NAME connections=… inflight=… latency=… samples=…".
func parseLoad(in *balancer.Input, words []string) error {
	if in.Loads == nil {
		in.Loads = make([]balancer.Load, len(in.View.Nodes))
	}
	for i := range in.View.Nodes {
		if in.View.Nodes[i].Name != words[0] {
			continue
		}
		l := &in.Loads[i]
		for _, w := range words[1:] {
			key, text, _ := strings.Cut(w, "=")
			value, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return err
			}
			switch key {
			case "connections":
				l.Connections = int32(value)
			case "inflight":
				l.InFlight = int32(value)
			case "latency":
				l.Latency = value
			case "samples":
				l.Samples = uint32(value)
			default:
				return fmt.Errorf("no such word of a load: %q", w)
			}
		}
		return nil
	}
	return fmt.Errorf("no such node: %q", words[0])
}

func parseSession(v *cluster.View, s *balancer.Session, words []string) (err error) {
	node := func(name string) cluster.NodeID {
		for i := range v.Nodes {
			if v.Nodes[i].Name == name {
				return v.Nodes[i].ID
			}
		}
		err = fmt.Errorf("no such node: %q", name)
		return cluster.NoNode
	}
	number := func(text string) int64 {
		n, e := strconv.ParseInt(text, 10, 64)
		if e != nil {
			err = e
		}
		return n
	}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "read": // the drawn read node
			s.ReadNode = node(value)
		case "floor": // the last completion on the primary
			s.FloorPrimary = number(value)
		case "last": // NODE@TIME: the last read from a standby
			name, time, _ := strings.Cut(value, "@")
			s.LastReadNode, s.LastReadTime = node(name), number(time)
		case "seen": // the same after the connection to that node was lost
			s.LastReadTime = number(value)
		case "tx":
			s.Tx = map[string]balancer.TxState{"deferred": balancer.TxDeferred, "open": balancer.TxOpen, "failed": balancer.TxFailed}[value]
			if s.Tx == balancer.TxNone {
				err = fmt.Errorf("no such transaction state: %q", value)
			}
		case "on": // the block's node
			s.TxNode = node(value)
		case "writes": // the primary on which the block has something
			s.TxWriteNode = node(value)
		case "written": // the relations that the block wrote
			v := &parser.Verdict{Access: parser.AccessWrite, Statements: []parser.Statement{{Kind: parser.KindWrite, Access: parser.AccessWrite}}}
			for _, name := range strings.Split(value, ",") {
				v.Statements[0].Relations = append(v.Statements[0].Relations, parser.Name{Name: name})
			}
			s.TxWritten.Add(v, dependencies)
		case "wrote":
			s.Wrote = true
		case "wrote-in-block":
			s.Wrote, s.WroteInBlock = true, true
		case "standing":
			s.TxPrimary = true
		case "readonly":
			s.TxReadOnly = true
		case "repeatable":
			s.TxIsolation = parser.IsolationRepeatableRead
		case "serializable":
			s.TxIsolation = parser.IsolationSerializable
		case "committed":
			s.TxIsolation = parser.IsolationReadCommitted
		case "pin":
			for p := balancer.PinTempObjects; p <= balancer.PinReplication; p++ {
				if strings.ReplaceAll(p.String(), " ", "-") == value {
					s.Pinned = p
				}
			}
			if s.Pinned == balancer.PinNone {
				err = fmt.Errorf("no such pin: %q", value)
			}
		case "local", "route", "redirect":
			h, ok := parser.ParseRoute(value)
			if !ok {
				return fmt.Errorf("no such route: %q", value)
			}
			*map[string]*parser.Hint{"local": &s.RouteLocal, "route": &s.Route, "redirect": &s.Redirect}[key] = h
		case "comments-ignore":
			s.Settings.Comments = balancer.CommentsIgnore
		case "comments-primary":
			s.Settings.Comments = balancer.CommentsPrimary
		case "balance-off":
			s.Settings.Balance = balancer.BalanceOff
		case "balance-transaction":
			s.Settings.Balance = balancer.BalanceTransaction
		case "balance-statement":
			s.Settings.Balance = balancer.BalanceStatement
		case "least-connections":
			s.Settings.Choice = balancer.ChoiceLeastConnections
		case "fastest":
			s.Settings.Choice = balancer.ChoiceFastest
		case "after-write":
			i := slices.Index([]string{"transaction", "off", "trans-transaction", "always", "dml-adaptive"}, value)
			if i < 0 {
				err = fmt.Errorf("no such after-write: %q", value)
			}
			s.Settings.AfterWrite = balancer.AfterWrite(i)
		case "waited":
			s.WaitedInVain = true
		case "prefer-lower-lag":
			s.Settings.PreferLowerLag = true
		case "consistency-cluster":
			s.Settings.Consistency = balancer.ConsistencyCluster
		case "transactions-primary":
			s.Settings.Transactions = balancer.PrimaryOnly
		case "consistency-none":
			s.Settings.Consistency = balancer.ConsistencyNone
		default:
			err = fmt.Errorf("no such word of a session: %q", w)
		}
	}
	return err
}

// dependencies are those of all cases.
var dependencies = balancer.NewDependencies([]balancer.Dependency{
	{Object: "orders", Dependent: "totals"}, {Object: "totals", Dependent: "grand_totals"},
	{Object: "add_order", Function: true, Dependent: "orders"},
})

// parseVerdict reads what a parser would have found: a kind or an access, and
// for some of them the modes of a BEGIN, "scoped", or "of=a,b": the relations.
func parseVerdict(words []string) (*parser.Verdict, error) {
	if words[0] == "none" { // not parsed at all
		return nil, nil
	}
	type shape struct {
		access parser.Access
		kind   parser.Kind
		reason string
	}
	shapes := map[string]shape{
		"empty":     {parser.AccessNone, parser.KindUnknown, ""},
		"read":      {parser.AccessRead, parser.KindSelect, ""},
		"function":  {parser.AccessUnknown, parser.KindSelect, "function f"},
		"nextval":   {parser.AccessWrite, parser.KindSelect, "function nextval"},
		"write":     {parser.AccessWrite, parser.KindWrite, "INSERT"},
		"set":       {parser.AccessSession, parser.KindSet, "SET"},
		"show":      {parser.AccessSession, parser.KindShow, "SHOW"},
		"catalog":   {parser.AccessSession, parser.KindSelect, "system catalog pg_class"},
		"listen":    {parser.AccessSession, parser.KindListen, "LISTEN"},
		"execute":   {parser.AccessSession, parser.KindExecute, "EXECUTE"},
		"ddl":       {parser.AccessWrite, parser.KindDDL, "CREATE TABLE"},
		"call":      {parser.AccessWrite, parser.KindCall, "CALL"},
		"unknown":   {parser.AccessUnknown, parser.KindUnknown, "syntax error"},
		"begin":     {parser.AccessTransaction, parser.KindBegin, "BEGIN"},
		"commit":    {parser.AccessTransaction, parser.KindCommit, "COMMIT"},
		"rollback":  {parser.AccessTransaction, parser.KindRollback, "ROLLBACK"},
		"savepoint": {parser.AccessTransaction, parser.KindSavepoint, "SAVEPOINT"},
	}
	s, ok := shapes[words[0]]
	if !ok {
		return nil, fmt.Errorf("no such verdict: %q", words[0])
	}
	st := parser.Statement{Kind: s.kind, Access: s.access, Reason: s.reason}
	v := &parser.Verdict{}
	for _, w := range words[1:] {
		if names, ok := strings.CutPrefix(w, "of="); ok {
			for _, name := range strings.Split(names, ",") {
				st.Relations = append(st.Relations, parser.Name{Name: name})
			}
			continue
		}
		switch w {
		case "then-write": // a second statement
			second := parser.Statement{Kind: parser.KindWrite, Access: parser.AccessWrite, Reason: "INSERT"}
			return &parser.Verdict{Statements: []parser.Statement{st, second}, Access: second.Access, Reason: second.Reason, Stateful: true}, nil
		case "local": // a setting that can be repeated
			st.Set, st.SQL = parser.SetLocal, "SET LOCAL x = 1"
		case "opaque":
			st.Set = parser.SetOpaque
		case "readonly":
			st.ReadOnly = parser.ReadOnlyYes
		case "repeatable":
			st.Isolation = parser.IsolationRepeatableRead
		case "serializable":
			st.Isolation = parser.IsolationSerializable
		case "scoped":
			st.TransactionScoped, st.Reason = true, "function now"
		case "commented":
			v.Commented = true
		default:
			if value, ok := strings.CutPrefix(w, "hint="); ok {
				v.Commented = true
				if v.Hint, ok = parser.ParseRoute(value); ok {
					continue
				}
			}
			return nil, fmt.Errorf("no such word of a verdict: %q", w)
		}
	}
	v.Statements, v.Access, v.Reason, v.Single = []parser.Statement{st}, st.Access, st.Reason, st.Kind
	v.Trustable, v.TransactionScoped = words[0] == "function", st.TransactionScoped
	v.Stateful = st.Access == parser.AccessTransaction || st.Access == parser.AccessSession
	return v, nil
}
