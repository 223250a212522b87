package parser

import (
	"strconv"

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
	// Wait is for how long pg_terminate_backend() waits for the session's end, in milliseconds; 0 if it does not.
	Wait int64
	// WaitType says that $2 is Wait, and of what type it is unless its Parse says another one: 0 if there is no $2.
	WaitType uint32
}

// The types of Signal.WaitType.
const (
	Int8OID = 20
	Int2OID = 21
	Int4OID = 23
)

// Function is the function that was called.
func (s Signal) Function() string {
	if s.Terminate {
		return "pg_terminate_backend"
	}
	return "pg_cancel_backend"
}

// selectOfSignal recognises a SELECT of one call of a signal function and nothing else, with a constant that no process id can be,
// or with $1. The time to wait is a constant, or $2 after $1.
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
	pid, wait, ok := signalArguments(f.Args)
	if !ok || wait != nil && !terminate {
		return
	}
	signal := Signal{Terminate: terminate}
	switch number, ok := intConstant(pid); {
	case ok && number > MaxProcessID && number <= 1<<31-1:
		signal.Session = uint32(number)
	case intParameter(pid) == (parameter{1, 0}) || intParameter(pid) == (parameter{1, Int4OID}):
		signal.Parameter = true
	default:
		return
	}
	if wait != nil {
		var constant bool
		switch p := intParameter(wait); {
		case signal.Parameter && p.number == 2 && p.cast == 0:
			signal.WaitType = Int8OID
		case signal.Parameter && p.number == 2:
			signal.WaitType = p.cast
		default:
			if signal.Wait, constant = intConstant(wait); !constant {
				return
			}
		}
	}
	w.st.Signal, w.st.Object = signal, target.GetName()
}

// signalArguments are the arguments of a call by position or by name; wait is nil if there is none.
func signalArguments(args []*pg.Node) (pid, wait *pg.Node, ok bool) {
	if len(args) == 0 || len(args) > 2 {
		return nil, nil, false
	}
	into := map[string]**pg.Node{"pid": &pid, "timeout": &wait}
	for i, arg := range args {
		name := [...]string{"pid", "timeout"}[i]
		if named := arg.GetNamedArgExpr(); named != nil {
			name, arg = named.Name, named.Arg
		}
		place := into[name]
		if place == nil || *place != nil {
			return nil, nil, false
		}
		*place = arg
	}
	return pid, wait, pid != nil
}

// intConstant is a number that is written out.
func intConstant(n *pg.Node) (int64, bool) {
	switch c := n.GetAConst(); {
	case c == nil || c.Isnull:
		return 0, false
	case c.GetFval() != nil: // over int4
		number, err := strconv.ParseInt(c.GetFval().Fval, 10, 64)
		return number, err == nil
	default:
		_, ok := c.Val.(*pg.A_Const_Ival)
		return int64(c.GetIval().GetIval()), ok
	}
}

// parameter is $number, cast to an integer type if that is not 0.
type parameter struct {
	number int32
	cast   uint32
}

// intParameter is $1 or the like, also as $1::int; it is zero if n is another expression.
func intParameter(n *pg.Node) (p parameter) {
	if cast := n.GetTypeCast(); cast != nil {
		names := cast.GetTypeName().GetNames()
		if len(cast.GetTypeName().GetArrayBounds()) > 0 || len(names) == 0 {
			return parameter{}
		}
		p.cast = map[string]uint32{"int2": Int2OID, "int4": Int4OID, "int8": Int8OID}[names[len(names)-1].GetString_().GetSval()]
		if n = cast.Arg; p.cast == 0 {
			return parameter{}
		}
	}
	if p.number = n.GetParamRef().GetNumber(); p.number == 0 {
		return parameter{}
	}
	return p
}
