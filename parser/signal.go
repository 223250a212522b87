package parser

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// MaxProcessID is the highest process id that a server's process can have (Linux: PID_MAX_LIMIT, 2^22; other systems have
// lower ones). howdah numbers its sessions from there on, so that a number says whose it is.
const MaxProcessID = 1 << 22

// Signal is a SELECT of pg_cancel_backend() or pg_terminate_backend() for a session of howdah's (PostgreSQL manual, 9.28.2).
type Signal struct {
	// Session is the session's number; 0 of every other statement.
	Session uint32
	// Parameter says that the number is $1, an int4: whether a session of howdah's is meant shows when it is bound.
	Parameter bool
	// Terminate ends the session; else what it runs is canceled.
	Terminate bool
}

// Function is the function that was called.
func (s Signal) Function() string {
	if s.Terminate {
		return "pg_terminate_backend"
	}
	return "pg_cancel_backend"
}

// selectOfSignal recognises a SELECT of one call of a signal function and nothing else, with a constant that no process id can be,
// or with $1.
func (w *walker) selectOfSignal(n *pg.SelectStmt) {
	if !isBareSelect(n) || len(n.TargetList) != 1 {
		return
	}
	target := n.TargetList[0].GetResTarget()
	f := target.GetVal().GetFuncCall()
	if f == nil || f.AggFilter != nil || f.Over != nil || f.FuncVariadic || f.AggDistinct || len(f.AggOrder) > 0 {
		return
	}
	name := nameFrom(f.Funcname)
	terminate := name.Name == "pg_terminate_backend"
	if !terminate && name.Name != "pg_cancel_backend" || name.Schema != "" && name.Schema != "pg_catalog" {
		return
	}
	w.literalDependent = true
	if len(f.Args) != 1 && !(terminate && len(f.Args) == 2 && f.Args[1].GetAConst() != nil) {
		return
	}
	pid := f.Args[0].GetAConst().GetIval().GetIval()
	switch {
	case pid > MaxProcessID:
		w.st.Signal = Signal{Session: uint32(pid), Terminate: terminate}
	case isIntParameter(f.Args[0]):
		w.st.Signal = Signal{Parameter: true, Terminate: terminate}
	default:
		return
	}
	w.st.Object = target.GetName()
}

// isIntParameter is $1, also as $1::int.
func isIntParameter(n *pg.Node) bool {
	if cast := n.GetTypeCast(); cast != nil {
		names := cast.GetTypeName().GetNames()
		if len(cast.GetTypeName().GetArrayBounds()) > 0 || len(names) == 0 || names[len(names)-1].GetString_().GetSval() != "int4" {
			return false
		}
		n = cast.Arg
	}
	return n.GetParamRef().GetNumber() == 1
}
