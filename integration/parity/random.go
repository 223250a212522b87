package parity

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Random makes a script of about steps steps from a seed: any message in any
// order, as no driver would send them, and now and then what drivers do send. Its
// answers depend on nothing but the script and the fixture.
func Random(seed uint64, steps int) *Script {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0)), script: &Script{Name: fmt.Sprintf("seed %d", seed)}}
	for len(g.script.Steps) < steps {
		g.step()
	}
	// The goodbye that follows is read after all before it; this makes the server answer all.
	g.add("Sync")
	return g.script
}

// Text is the script as a .proto file says it.
func (s *Script) Text() string {
	var b strings.Builder
	for _, step := range s.Steps {
		b.WriteString(step.Command)
		for _, arg := range step.Args {
			switch {
			case arg.Null:
				b.WriteString(" NULL")
			case arg.Quoted:
				b.WriteString(" " + strconv.Quote(arg.Text))
			default:
				b.WriteString(" " + arg.Text)
			}
		}
		for key, value := range step.Options {
			b.WriteString(" " + key + "=" + value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// generator holds what the script has so far.
type generator struct {
	r      *rand.Rand
	script *Script
	// open: extended messages were sent after the last Sync.
	open bool
	// uncounted: nobody can tell how many answers will come, because a Query amid
	// extended messages is skipped if one of these failed. Nothing is awaited any more.
	uncounted bool
}

func (g *generator) add(command string, args ...Arg) {
	g.open = command != "Sync" && command != "wait" && (g.open || command != "Query")
	g.script.Steps = append(g.script.Steps, Step{Line: len(g.script.Steps) + 1, Command: command, Args: args, Options: map[string]string{}})
}

func quoted(text string) Arg { return Arg{Text: text, Quoted: true} }

func pick[T any](g *generator, from []T) T { return from[g.r.IntN(len(from))] }

// step adds one thing to do. The numbers are shares of a hundred.
func (g *generator) step() {
	switch n := g.r.IntN(100); {
	case n < 30:
		if g.open && g.r.IntN(10) > 0 {
			g.add("Sync")
		}
		g.uncounted = g.uncounted || g.open
		g.add("Query", quoted(pick(g, simpleTexts)))
		g.maybeWait()
	case n < 35:
		g.copyIn()
	case n < 60:
		g.ordinary()
	case n < 90:
		g.message()
	default:
		g.add("Sync")
		g.maybeWait()
	}
}

// maybeWait waits for all answers, mostly: what is not awaited is a pipeline.
func (g *generator) maybeWait() {
	if !g.uncounted && g.r.IntN(100) < 70 {
		g.add("wait")
	}
}

// ordinary is what drivers do: Parse, Bind, Describe, Execute, Sync.
func (g *generator) ordinary() {
	name := pick(g, statementNames)
	e := pick(g, extendedTexts)
	if g.r.IntN(3) > 0 {
		g.add("Parse", quoted(name), quoted(e.text))
		if g.r.IntN(3) == 0 {
			g.add("Describe", Arg{Text: "S"}, quoted(name))
			if g.r.IntN(2) == 0 {
				g.add("Flush")
			}
		}
	}
	for range 1 + g.r.IntN(2) {
		g.bind("", name, e.parameters)
		if g.r.IntN(2) == 0 {
			g.add("Describe", Arg{Text: "P"}, quoted(""))
		}
		g.add("Execute", quoted(""), Arg{Text: "0"})
	}
	g.add("Sync")
	g.maybeWait()
}

func (g *generator) bind(portal, name string, parameters int) {
	args := []Arg{quoted(portal), quoted(name)}
	for range parameters {
		args = append(args, pick(g, parameterValues))
	}
	g.add("Bind", args...)
}

// message is any one message of the extended protocol.
func (g *generator) message() {
	name, portal := pick(g, statementNames), pick(g, portalNames)
	switch g.r.IntN(8) {
	case 0, 1:
		g.add("Parse", quoted(name), quoted(pick(g, extendedTexts).text))
	case 2, 3:
		g.bind(portal, name, g.r.IntN(2))
	case 4:
		g.add("Execute", quoted(portal), Arg{Text: pick(g, []string{"0", "1", "2"})})
	case 5:
		if g.r.IntN(2) == 0 {
			g.add("Describe", Arg{Text: "S"}, quoted(name))
		} else {
			g.add("Describe", Arg{Text: "P"}, quoted(portal))
		}
	case 6:
		if g.r.IntN(2) == 0 {
			g.add("Close", Arg{Text: "S"}, quoted(name))
		} else {
			g.add("Close", Arg{Text: "P"}, quoted(portal))
		}
	case 7:
		g.add("Flush")
	}
}

// copyIn is COPY FROM STDIN with its data, good or bad. A Sync before it makes
// sure that the data is not taken for messages out of place, which ends a session.
func (g *generator) copyIn() {
	g.add("Sync")
	g.add("Query", quoted("ROLLBACK; COPY copied FROM STDIN"))
	for range g.r.IntN(3) {
		g.add("CopyData", quoted(pick(g, []string{"1\tone\n", "2\ttwo\n3\tthree\n", "4\t\\N\n", "x\tbad\n"})))
	}
	if g.r.IntN(4) == 0 {
		g.add("CopyFail", quoted("changed my mind"))
	} else {
		g.add("CopyDone")
	}
	g.maybeWait()
}

var (
	statementNames  = []string{"", "", "a", "b"}
	portalNames     = []string{"", "", "p"}
	parameterValues = []Arg{quoted("1"), quoted("2"), quoted("7"), quoted("0"), {Null: true}, quoted("x")}
)

// extended is a text for Parse and how many parameters it takes.
type extended struct {
	text       string
	parameters int
}

var extendedTexts = []extended{
	{"SELECT v FROM t WHERE id = $1", 1},
	{"SELECT id, v FROM t ORDER BY id", 0},
	{"SELECT $1::int + 1", 1},
	{"SELECT 10 / $1::int", 1},
	{"SELECT count(*) FROM copied", 0},
	{"INSERT INTO copied VALUES ($1, 'bound') RETURNING a", 1},
	{"UPDATE t SET v = v || '!' WHERE id = $1", 1},
	{"SELECT writes($1)", 1},
	{"SELECT shouts('hey')", 0},
	{"SELECT nextval('counter')", 0},
	{"SELECT 1 FROM nowhere", 0},
	{"SELECT id FROM t WHERE id < 4 ORDER BY id FOR UPDATE", 0},
	{"SELEC 1", 0},
	{"", 0},
	{"BEGIN", 0},
	{"COMMIT", 0},
	{"ROLLBACK", 0},
	{"SAVEPOINT s1", 0},
	{"ROLLBACK TO s1", 0},
	{"SET extra_float_digits = 0", 0},
	{"SELECT current_setting('search_path'), 1.1::float4", 0},
	{"VALUES (1, 'a'), (2, 'b'), (3, NULL)", 0},
	{"COPY (SELECT id FROM t ORDER BY id LIMIT 3) TO STDOUT", 0},
	{"SELECT generate_series(1, 5)", 0},
}

var simpleTexts = []string{
	"SELECT 1", "SELECT v FROM t WHERE id = 3", "SELECT id, v FROM t ORDER BY id", "SELECT count(*) FROM copied", "",
	";", "SELECT 1; SELECT 2", "SELECT 1; INSERT INTO copied VALUES (9, 'multi'); SELECT count(*) FROM copied",
	"INSERT INTO copied VALUES (10, 'plain')", "DELETE FROM copied WHERE a > 5", "UPDATE t SET v = 'u' WHERE id = 2",
	"BEGIN", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ",
	"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "END",
	"SAVEPOINT s1", "SAVEPOINT s2", "ROLLBACK TO s1", "ROLLBACK TO SAVEPOINT s2", "RELEASE s1",
	"SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "SELECT 'unterminated", "INSERT INTO t VALUES (1, 'duplicate')",
	"SET search_path = other, public", "RESET search_path", "SELECT * FROM t ORDER BY id LIMIT 2", "SHOW search_path",
	"SET LOCAL datestyle = 'German, DMY'", "SET datestyle = 'SQL, DMY'", "SELECT date '2024-02-01'", "RESET ALL", "SHOW datestyle",
	"SELECT set_config('datestyle', 'ISO, MDY', true)", "SELECT set_config('work_mem', '5MB', false)", "SHOW work_mem",
	"SET TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
	"PREPARE q (int) AS SELECT v FROM t WHERE id = $1", "EXECUTE q(4)", "DEALLOCATE q", "DEALLOCATE ALL", "EXECUTE a(1)", "DEALLOCATE a",
	"DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "FETCH 2 FROM c", "MOVE 1 IN c", "CLOSE c", "FETCH ALL FROM c",
	"DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id", "FETCH 1 FROM h", "CLOSE ALL",
	"CREATE TEMP TABLE tmp (a int)", "INSERT INTO tmp VALUES (1)", "SELECT count(*) FROM tmp", "DROP TABLE tmp", "DISCARD TEMP",
	"CREATE TEMP TABLE t (id int, v text)", "DROP TABLE pg_temp.t",
	"SELECT shouts('loud')", "SELECT writes(5)", "SELECT reads(1)", "SELECT lies(3)", "SELECT nextval('counter')", "SELECT currval('counter')",
	"SELECT pg_advisory_xact_lock(1)", "SELECT v FROM t WHERE id = 1 FOR SHARE", "LOCK TABLE copied",
	"COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT", "COPY t TO STDOUT (FORMAT csv, HEADER)", "EXPLAIN (COSTS OFF) SELECT 1",
	"WITH x AS (INSERT INTO copied VALUES (11, 'cte') RETURNING a) SELECT * FROM x", "SELECT * FROM v ORDER BY id",
	"CREATE TABLE made (a int)", "DROP TABLE IF EXISTS made", "SELECT * FROM made", "TRUNCATE copied", "CALL commits(20)",
	"SELECT txid_current() IS NOT NULL", "LISTEN l", "UNLISTEN *", "DISCARD ALL", "SET ROLE reader", "RESET ROLE", "SELECT * FROM secret",
	"SELECT * FROM owned ORDER BY id", "SELECT current_user", "SET bytea_output = 'escape'", "SELECT '\\xff'::bytea",
	"SET client_encoding = 'LATIN1'", "SELECT 'é'", "RESET client_encoding",
}
