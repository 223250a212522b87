package parser

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// sessionCharacteristics is the Setting of a SET SESSION CHARACTERISTICS that
// names several modes at once.
const sessionCharacteristics = "session characteristics"

// variableSet reads SET and RESET in all their spellings.
func (w *walker) variableSet(n *pg.VariableSetStmt) {
	w.literalDependent = true
	w.st.SQL = w.sql
	w.st.Setting = strings.ToLower(n.Name)
	switch n.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
		w.st.Set = SetValue
		w.st.Value = argumentsText(n.Args, len(n.Args) > 1 || w.st.Setting == "search_path")
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		w.st.Set = SetReset
	case pg.VariableSetKind_VAR_RESET_ALL:
		w.st.Set = SetResetAll
		w.st.Setting = ""
	case pg.VariableSetKind_VAR_SET_MULTI:
		w.setMulti(n)
		return
	default: // SET … FROM CURRENT
		w.st.Set = SetOpaque
	}
	if n.IsLocal && (w.st.Set == SetValue || w.st.Set == SetReset) {
		w.st.Set = SetLocal
	}
	switch w.st.Setting {
	case "seed": // another connection given it would begin the sequence anew
		w.st.Set = SetOpaque
	case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		// They last for the transaction, LOCAL or not.
		w.st.Kind = KindSetTransaction
		w.st.Set = SetLocal
		fallthrough
	case "default_transaction_isolation", "default_transaction_read_only":
		if len(n.Args) == 1 {
			w.mode(w.st.Setting, n.Args[0].GetAConst())
		}
	}
}

// setMulti: SET TRANSACTION, SET TRANSACTION SNAPSHOT, SET SESSION CHARACTERISTICS.
func (w *walker) setMulti(n *pg.VariableSetStmt) {
	if n.Name != "SESSION CHARACTERISTICS" {
		w.st.Kind = KindSetTransaction
		w.st.Set = SetLocal
		if settings := w.modes(n.Args); len(settings) == 1 {
			w.st.Setting = settings[0]
			w.st.Value = constantText(n.Args[0].GetDefElem().GetArg().GetAConst())
		}
		return
	}
	w.st.Set = SetValue
	w.st.Setting = sessionCharacteristics
	if settings := w.modes(n.Args); len(settings) == 1 {
		w.st.Setting = "default_" + settings[0]
		w.st.Value = constantText(n.Args[0].GetDefElem().GetArg().GetAConst())
	}
}

// argumentsText is the value of SET as the server flattens it: a list is
// joined by ", ", and its parts are quoted where they need it.
func argumentsText(args []*pg.Node, list bool) string {
	parts := make([]string, 0, len(args))
	for _, arg := range args {
		c := arg.GetAConst()
		if c == nil {
			return "" // SET TIME ZONE INTERVAL …
		}
		text := constantText(c)
		if list {
			text = quoteListed(text)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func quoteListed(text string) string {
	plain := text != ""
	for i := range len(text) {
		c := text[i]
		plain = plain && ('a' <= c && c <= 'z' || c == '_' || i > 0 && ('0' <= c && c <= '9' || c == '$'))
	}
	if plain {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// constantText is a constant as a setting holds it; "" for NULL or no constant.
func constantText(c *pg.A_Const) string {
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval()))
	case *pg.A_Const_Fval:
		return v.Fval.GetFval()
	case *pg.A_Const_Sval:
		return v.Sval.GetSval()
	case *pg.A_Const_Boolval:
		return strconv.FormatBool(v.Boolval.GetBoolval())
	}
	return ""
}

// selectOfSetConfig recognises a SELECT of set_config() calls and nothing else,
// which can be repeated elsewhere if all arguments are constants.
func (w *walker) selectOfSetConfig(n *pg.SelectStmt) {
	if !isBareSelect(n) {
		return
	}
	var calls []string
	var first setConfig
	column := ""
	locals, constants := 0, 0
	for _, node := range n.TargetList {
		call, ok := readSetConfig(node.GetResTarget().GetVal().GetFuncCall())
		if !ok {
			return
		}
		if len(calls) == 0 {
			first, column = call, node.GetResTarget().GetName()
		}
		if call.local {
			locals++
		}
		if call.constant {
			constants++
		}
		calls = append(calls, call.sql())
	}
	repeatable := constants == len(calls)
	switch {
	case locals == len(calls):
		w.st.Set = SetLocal
	case len(calls) == 1 && repeatable:
		w.st.Set = SetValue
	default:
		w.st.Set = SetOpaque
		return
	}
	if repeatable {
		w.st.SQL = "SELECT " + strings.Join(calls, ", ")
		if len(calls) == 1 {
			w.st.Setting, w.st.Value, w.st.Object = strings.ToLower(first.name), first.value, column
		}
	}
}

// isBareSelect is SELECT expressions, with no other clause.
func isBareSelect(n *pg.SelectStmt) bool {
	return len(n.TargetList) > 0 && n.Op == pg.SetOperation_SETOP_NONE &&
		n.IntoClause == nil && n.WithClause == nil && n.WhereClause == nil && n.HavingClause == nil &&
		n.LimitCount == nil && n.LimitOffset == nil &&
		len(n.DistinctClause)+len(n.FromClause)+len(n.GroupClause)+len(n.WindowClause)+
			len(n.ValuesLists)+len(n.SortClause)+len(n.LockingClause) == 0
}

// setConfig is a call set_config(name, value, local).
type setConfig struct {
	name, value     string
	local, constant bool
}

// readSetConfig reads a call of the built-in set_config with a constant third
// argument; false if it is anything else.
func readSetConfig(f *pg.FuncCall) (setConfig, bool) {
	var c setConfig
	if f == nil || f.AggFilter != nil || f.Over != nil || f.FuncVariadic || f.AggDistinct || len(f.AggOrder) > 0 {
		return c, false
	}
	name := nameFrom(f.Funcname)
	if name.Name != "set_config" || name.Schema != "" && name.Schema != "pg_catalog" || len(f.Args) != 3 {
		return c, false
	}
	last, ok := boolConstant(f.Args[2])
	if !ok {
		return c, false
	}
	c.local = last
	setting, value := f.Args[0].GetAConst().GetSval(), f.Args[1].GetAConst().GetSval()
	if setting != nil && value != nil {
		c.name, c.value, c.constant = setting.Sval, value.Sval, true
	}
	return c, true
}

// boolConstant reads true, false, and their spelling as a literal or a cast of one.
func boolConstant(node *pg.Node) (value, ok bool) {
	if cast := node.GetTypeCast(); cast != nil {
		if nameFrom(cast.TypeName.GetNames()).Name != "bool" {
			return false, false
		}
		node = cast.Arg
	}
	switch v := node.GetAConst().GetVal().(type) {
	case *pg.A_Const_Boolval:
		return v.Boolval.GetBoolval(), true
	case *pg.A_Const_Sval:
		switch readOnlyOf(strings.TrimSpace(v.Sval.GetSval())) {
		case ReadOnlyYes:
			return true, true
		case ReadOnlyNo:
			return false, true
		}
	}
	return false, false
}

func (c setConfig) sql() string {
	return "pg_catalog.set_config(" + quoteLiteral(c.name) + ", " + quoteLiteral(c.value) + ", " +
		strconv.FormatBool(c.local) + ")"
}

// quoteLiteral writes text as a literal that reads the same whether
// standard_conforming_strings is on or off.
func quoteLiteral(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(quoted, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
