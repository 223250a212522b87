package parser_test

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/howdah/howdah/parser"
)

// nodeFields are the alternatives of the library's Node.
func nodeFields() protoreflect.FieldDescriptors {
	return (&pg.Node{}).ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
}

// TestEveryStatementHasARule: a new version of the library, or a typing error
// in the table, must not pass in silence.
func TestEveryStatementHasARule(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	fields := nodeFields()
	for i := range fields.Len() {
		if fields.Get(i).Message() == nil {
			continue
		}
		name := string(fields.Get(i).Message().Name())
		if !strings.HasSuffix(name, "Stmt") {
			continue
		}
		known[name] = true
		if !parser.HasRule(name) {
			t.Errorf("%s has no rule", name)
		}
	}
	for _, name := range parser.RuleNames() {
		if !known[name] {
			t.Errorf("rule for %s, which is no statement", name)
		}
	}
}

// TestEveryNodeHasADecision: every node of the library is in just one of the
// tables, and the tables name no others.
func TestEveryNodeHasADecision(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	fields := nodeFields()
	for i := range fields.Len() {
		d := fields.Get(i).Message()
		if d == nil {
			continue
		}
		name := string(d.Name())
		known[name] = true
		if n := parser.NodeDecisions(name); n != 1 {
			t.Errorf("%s is in %d tables", name, n)
		}
	}
	if len(known) < 200 {
		t.Errorf("the library has %d nodes only", len(known))
	}
	for _, name := range parser.NodeNames() {
		if !known[name] {
			t.Errorf("%s is no node of the library", name)
		}
	}
}

// TestUnknownNodeIsNoRead: a message that no table has is not understood, even if it holds nothing.
func TestUnknownNodeIsNoRead(t *testing.T) {
	t.Parallel()
	stranger := (&pg.ScanToken{}).ProtoReflect()
	if n := parser.NodeDecisions(string(stranger.Descriptor().Name())); n != 0 {
		t.Fatalf("%s is known", stranger.Descriptor().Name())
	}
	if got := parser.Walk(stranger); got != parser.AccessUnknown {
		t.Errorf("access %v", got)
	}
}

// leaves are the nodes that hold names or constants, never an expression.
var leaves = map[protoreflect.Name]bool{
	"A_Const": true, "ColumnRef": true, "ParamRef": true, "Alias": true, "String": true,
	"LockingClause": true, "RangeVar": true, "IntoClause": true,
	"JsonFormat": true, "JsonReturning": true, "RoleSpec": true,
}

// TestWalkVisitsEveryField plants a writing function in every field of every
// node that may hold another, and looks whether the walk finds it.
func TestWalkVisitsEveryField(t *testing.T) {
	t.Parallel()
	planted := 0
	fields := nodeFields()
	for i := range fields.Len() {
		d := fields.Get(i).Message()
		if d == nil || leaves[d.Name()] {
			continue
		}
		outer := (&pg.Node{}).ProtoReflect()
		for k := range d.Fields().Len() {
			f := d.Fields().Get(k)
			if f.Message() == nil || leaves[f.Message().Name()] {
				continue
			}
			m := outer.NewField(fields.Get(i)).Message()
			if !plant(m, f, 3) {
				t.Errorf("%s.%s: nothing to plant in", d.Name(), f.Name())
				continue
			}
			planted++
			if got := parser.Walk(m); got < parser.AccessWrite {
				t.Errorf("%s.%s: nextval() not seen, access %v", d.Name(), f.Name(), got)
			}
		}
	}
	if planted < 300 {
		t.Errorf("planted only %d times", planted)
	}
}

// plant puts nextval() into field f of m, if need be some levels down.
func plant(m protoreflect.Message, f protoreflect.FieldDescriptor, levels int) bool {
	if f.Message() == nil || levels == 0 || leaves[f.Message().Name()] {
		return false
	}
	var value protoreflect.Value
	if f.IsList() {
		value = m.NewField(f)
		element := value.List().NewElement()
		if !fill(element.Message(), levels) {
			return false
		}
		value.List().Append(element)
	} else {
		value = m.NewField(f)
		if !fill(value.Message(), levels) {
			return false
		}
	}
	m.Set(f, value)
	return true
}

func fill(m protoreflect.Message, levels int) bool {
	if node, ok := m.Interface().(*pg.Node); ok {
		node.Node = nextval().Node
		return true
	}
	for i := range m.Descriptor().Fields().Len() {
		if plant(m, m.Descriptor().Fields().Get(i), levels-1) {
			return true
		}
	}
	return false
}

func nextval() *pg.Node {
	return pg.MakeFuncCallNode([]*pg.Node{pg.MakeStrNode("nextval")}, []*pg.Node{pg.MakeAConstStrNode("s", 0)}, 0)
}
