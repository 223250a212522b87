package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// ledger is a session whose statements all succeed on the primary.
type ledger struct {
	*session
	l *lease
}

func newLedger() *ledger {
	s := planner()
	s.stmts = statements{}
	s.in.Session = balancer.NewSession(balancer.Settings{})
	s.state.isolation, s.state.firstIsolation = parser.IsolationReadCommitted, parser.IsolationReadCommitted
	l := &lease{srv: &pool.Server{}, carried: &carried{}, id: 1, slot: balancer.ToPrimary, status: wire.TxIdle}
	s.leases[balancer.ToPrimary] = l
	return &ledger{s, l}
}

// run keeps the books of a text as after its ReadyForQuery. A leading '!' says that it failed.
func (g *ledger) run(t *testing.T, sql string) {
	t.Helper()
	sql, failed := strings.CutPrefix(sql, "!")
	v := g.srv.parser.Verdict([]byte(sql))
	g.unit.reset()
	g.unit.add(v)
	g.unit.ready = true
	g.unit.msgs = append(g.unit.msgs, message{typ: wire.Query, verdict: v})
	if g.l.failed = failed; !failed {
		for i := range v.Statements {
			rolledBack := false
			switch st := &v.Statements[i]; st.Kind {
			case parser.KindBegin:
				g.l.status = wire.TxOpen
			case parser.KindCommit, parser.KindRollback:
				rolledBack = st.Kind == parser.KindRollback || g.l.status == wire.TxFailed
				if !st.Chain {
					g.l.status = wire.TxIdle
				}
			case parser.KindRollbackTo:
				g.l.status = wire.TxOpen
				rolledBack = true // its tag
			}
			g.noteCompleted(g.l, &v.Statements[i], rolledBack)
		}
	} else if g.l.status == wire.TxOpen {
		g.l.status = wire.TxFailed
	}
	if err := g.finishTransaction(g.l); err != nil {
		t.Fatal(err)
	}
}

func TestStateFollowsStatements(t *testing.T) {
	for _, tc := range []struct {
		name string
		sql  []string
		want string // the replay, then the pin if there is one
	}{
		{"nothing", []string{"SELECT 1"}, ""},
		{"set", []string{"SET a.b = 1"}, "SET a.b = 1;"},
		{"set twice", []string{"SET a.b = 1", "SET a.b = 2"}, "SET a.b = 2;"},
		{"order is kept", []string{"SET a.b = 1", "SET a.c = 1", "SET a.b = 2"}, "SET a.c = 1;SET a.b = 2;"},
		{"failed set", []string{"!SET a.b = 1"}, ""},
		{"reset", []string{"SET a.b = 1", "SET a.c = 2", "RESET a.b"}, "SET a.c = 2;"},
		{"default", []string{"SET a.b = 1", "SET a.b TO DEFAULT"}, ""},
		{"reset all", []string{"SET a.b = 1", "SET ROLE r", "RESET ALL"}, "SET ROLE r;"},
		{"reset role", []string{"SET ROLE r", "RESET ROLE"}, ""},
		{"authorization ends the role", []string{"SET ROLE r", "SET SESSION AUTHORIZATION u"}, "SET SESSION AUTHORIZATION u;"},
		{"local", []string{"BEGIN", "SET LOCAL a.b = 1", "COMMIT"}, ""},
		{"committed", []string{"BEGIN", "SET a.b = 1", "COMMIT"}, "SET a.b = 1;"},
		{"rolled back", []string{"BEGIN", "SET a.b = 1", "ROLLBACK"}, ""},
		{"failed block", []string{"BEGIN", "SET a.b = 1", "!SELECT 1/0", "COMMIT"}, ""},
		{"still open", []string{"BEGIN", "SET a.b = 1"}, ""},
		{"before and in a rolled back block", []string{"SET a.b = 1", "BEGIN", "SET a.b = 2", "ROLLBACK"}, "SET a.b = 1;"},
		{"savepoint kept", []string{"BEGIN", "SET a.b = 1", "SAVEPOINT s", "SET a.b = 2", "RELEASE s", "COMMIT"}, "SET a.b = 2;"},
		{"savepoint rolled back", []string{"BEGIN", "SET a.b = 1", "SAVEPOINT s", "SET a.b = 2", "ROLLBACK TO s", "COMMIT"}, "SET a.b = 1;"},
		{"savepoint rolled back twice", []string{"BEGIN", "SAVEPOINT s", "SET a.b = 2", "ROLLBACK TO s", "SET a.c = 3", "ROLLBACK TO s", "SET a.d = 4", "COMMIT"}, "SET a.d = 4;"},
		{"savepoint after an error", []string{"BEGIN", "SET a.b = 1", "SAVEPOINT s", "SET a.c = 2", "!SELECT 1/0", "ROLLBACK TO s", "COMMIT"}, "SET a.b = 1;"},
		{"savepoints of one name", []string{"BEGIN", "SAVEPOINT s", "SET a.b = 1", "SAVEPOINT s", "SET a.c = 2", "ROLLBACK TO s", "COMMIT"}, "SET a.b = 1;"},
		{"inner savepoint released", []string{"BEGIN", "SAVEPOINT s", "SET a.b = 1", "SAVEPOINT t", "SET a.c = 2", "RELEASE t", "ROLLBACK TO s", "COMMIT"}, ""},
		{"outer savepoint released", []string{"BEGIN", "SAVEPOINT s", "SET a.b = 1", "SAVEPOINT t", "SET a.c = 2", "RELEASE s", "COMMIT"}, "SET a.b = 1;SET a.c = 2;"},
		{"part of a date style", []string{"SET datestyle TO iso", "SET datestyle TO ymd"}, "SET datestyle TO 'ISO, YMD';"},
		{"parts of a date style", []string{"SET datestyle TO 'european, sql'", "SET datestyle TO German"}, "SET datestyle TO 'German, DMY';"},
		{"another part of a date style", []string{"SET datestyle = 'SQL,MDY'", "SET datestyle = 'dmy'", "SELECT set_config('DateStyle', 'postgres', false)"}, "SET datestyle TO 'Postgres, DMY';"},
		{"a date style that is not known", []string{"SET datestyle = 'default'", "SET datestyle = 'dmy'"}, "SET datestyle = 'dmy';opaque setting"},
		{"the default date style", []string{"SET datestyle = 'sql'", "SET datestyle = 'default'"}, "SET datestyle = 'default';"},
		{"counters of use", []string{"SELECT seq_scan FROM pg_stat_user_tables"}, "usage counters"},
		{"counters of use, a function", []string{"SELECT pg_stat_get_numscans(1)", "DISCARD ALL"}, ""},
		{"chain", []string{"BEGIN", "SET a.b = 1", "COMMIT AND CHAIN", "SET a.c = 2", "ROLLBACK"}, "SET a.b = 1;"},
		{"chained rollback", []string{"BEGIN", "SET a.b = 1", "ROLLBACK AND CHAIN", "SET a.c = 2", "COMMIT"}, "SET a.c = 2;"},
		{"discard all", []string{"SET a.b = 1", "CREATE TEMP TABLE t ()", "LISTEN x", "DISCARD ALL"}, ""},
		{"temp", []string{"CREATE TEMP TABLE t ()"}, "temporary objects"},
		{"temp, then discarded", []string{"CREATE TEMP TABLE t ()", "DISCARD TEMP"}, ""},
		{"temp, rolled back", []string{"BEGIN", "CREATE TEMP TABLE t ()", "ROLLBACK"}, ""},
		{"temp, dropped", []string{"CREATE TEMP TABLE t ()", "DROP TABLE t"}, ""},
		{"temp, another dropped", []string{"CREATE TEMP TABLE t ()", "DROP TABLE u, public.t"}, "temporary objects"},
		{"temp, both dropped", []string{"CREATE TEMP TABLE t ()", "CREATE TEMP VIEW v AS SELECT 1", "DROP VIEW v", "DROP TABLE pg_temp.t"}, ""},
		{"temp, the drop rolled back", []string{"CREATE TEMP TABLE t ()", "BEGIN", "DROP TABLE t", "ROLLBACK"}, "temporary objects"},
		{"temp, dropped and made again", []string{"BEGIN", "CREATE TEMP TABLE t ()", "DROP TABLE t", "CREATE TEMP TABLE t ()", "COMMIT"}, "temporary objects"},
		{"temp, rolled back to a savepoint", []string{"BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE t ()", "ROLLBACK TO s", "COMMIT"}, ""},
		{"temp, dropped at commit", []string{"BEGIN", "CREATE TEMP TABLE t () ON COMMIT DROP", "COMMIT"}, ""},
		{"temp, renamed and dropped", []string{"CREATE TEMP TABLE t ()", "ALTER TABLE t RENAME TO u", "DROP TABLE u"}, "temporary objects"},
		{"temp, a view over it", []string{"CREATE TEMP TABLE t ()", "CREATE VIEW v AS SELECT 1 FROM t", "DROP TABLE t"}, "temporary objects"},
		{"temp type", []string{"CREATE TYPE pg_temp.e AS ENUM ('a')", "DROP TYPE pg_temp.e"}, "temporary objects"},
		{"opaque", []string{"SELECT set_config('a.b', $1, false)"}, "opaque setting"},
		{"opaque, then discard all", []string{"SELECT set_config('a.b', $1, false)", "DISCARD ALL"}, ""},
		{"several in one text", []string{"SET a.b = 1; SET a.c = 2"}, "SET a.b = 1;SET a.c = 2;"},
		{"block in one text", []string{"BEGIN; SET a.b = 1; COMMIT"}, "SET a.b = 1;"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newLedger()
			for _, sql := range tc.sql {
				g.run(t, sql)
			}
			got := difference(nil, g.state.settings)
			if g.state.pin != balancer.PinNone {
				got += g.state.pin.String()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if g.l.status == wire.TxIdle && len(g.state.pending) > 0 {
				t.Error("changes are pending outside of a block")
			}
			if g.l.version != g.state.version {
				t.Errorf("the connection on which it all ran is at version %d of %d", g.l.version, g.state.version)
			}
			if !slices.Equal(g.l.carried.settings, g.state.settings) {
				t.Errorf("the connection is taken to have %v", g.l.carried.settings)
			}
		})
	}
}

// TestCountersAreForgotten: a look at usage counters keeps the session on the primary for a while.
func TestCountersAreForgotten(t *testing.T) {
	g := newLedger()
	g.run(t, "SELECT seq_scan FROM pg_stat_user_tables")
	last := g.state.looked + int64(countersFor)
	if g.state.forgetCounters(last); g.state.pin != balancer.PinCounters {
		t.Errorf("at %d: %v", last, g.state.pin)
	}
	if g.state.forgetCounters(last + 1); g.state.pin != balancer.PinNone {
		t.Errorf("after %d: %v", last, g.state.pin)
	}
}

// Too many settings are not kept without end: they pin the session.
func TestStateIsBounded(t *testing.T) {
	g := newLedger()
	for i := range 5000 {
		g.run(t, fmt.Sprintf("SET a.b%d = 1", i))
	}
	if g.state.pin == balancer.PinNone {
		t.Error("5000 settings did not pin the session")
	}
	if n := len(g.state.settings); n > 2*maxSettings {
		t.Errorf("%d settings are kept", n)
	}
}

func TestTransactionDefaults(t *testing.T) {
	for _, tc := range []struct {
		sql       []string
		isolation parser.Isolation
		readOnly  bool
	}{
		{nil, parser.IsolationReadCommitted, false},
		{[]string{"SET default_transaction_isolation = 'repeatable read'"}, parser.IsolationRepeatableRead, false},
		{[]string{"SET default_transaction_isolation = 'nonsense'"}, parser.IsolationSerializable, false},
		{[]string{"SET default_transaction_isolation = serializable", "RESET default_transaction_isolation"}, parser.IsolationReadCommitted, false},
		{[]string{"SET default_transaction_read_only = on"}, parser.IsolationReadCommitted, true},
		{[]string{"SET default_transaction_read_only = 1", "RESET ALL"}, parser.IsolationReadCommitted, false},
		{[]string{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"}, parser.IsolationSerializable, true},
		{[]string{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"}, parser.IsolationReadCommitted, false},
		{[]string{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "DISCARD ALL"}, parser.IsolationReadCommitted, false},
		{[]string{"BEGIN", "SET default_transaction_read_only = on", "ROLLBACK"}, parser.IsolationReadCommitted, false},
	} {
		g := newLedger()
		for _, sql := range tc.sql {
			g.run(t, sql)
		}
		begin := g.srv.parser.Verdict([]byte("BEGIN"))
		g.beginBlock(&begin.Statements[0])
		if bs := &g.in.Session; bs.TxIsolation != tc.isolation || bs.TxReadOnly != tc.readOnly {
			t.Errorf("%q: isolation %d, read only %v; want %d, %v", tc.sql, bs.TxIsolation, bs.TxReadOnly, tc.isolation, tc.readOnly)
		}
	}
}

// The transaction block as the balancer sees it.
func TestTransactionBooks(t *testing.T) {
	for _, tc := range []struct {
		sql  []string
		want balancer.TxState
	}{
		{[]string{"SELECT 1"}, balancer.TxNone},
		{[]string{"BEGIN; SELECT 1"}, balancer.TxOpen},
		{[]string{"BEGIN", "SELECT 1"}, balancer.TxOpen},
		{[]string{"BEGIN", "!SELECT 1/0"}, balancer.TxFailed},
		{[]string{"BEGIN", "!SELECT 1/0", "ROLLBACK"}, balancer.TxNone},
		{[]string{"BEGIN", "SAVEPOINT a", "!SELECT 1/0", "ROLLBACK TO a"}, balancer.TxOpen},
		{[]string{"BEGIN", "COMMIT AND CHAIN"}, balancer.TxOpen},
		{[]string{"BEGIN", "COMMIT"}, balancer.TxNone},
	} {
		g := newLedger()
		for _, sql := range tc.sql {
			g.run(t, sql)
		}
		bs := &g.in.Session
		if bs.Tx != tc.want {
			t.Errorf("%q: state %d, want %d", tc.sql, bs.Tx, tc.want)
		}
		if (bs.Tx == balancer.TxNone) != (g.begin == "") {
			t.Errorf("%q: begin is %q", tc.sql, g.begin)
		}
		if bs.Tx == balancer.TxNone && (bs.TxPrimary || bs.TxReadOnly || bs.TxNode >= 0) {
			t.Errorf("%q: something is left of the block: %+v", tc.sql, bs)
		}
	}
}
