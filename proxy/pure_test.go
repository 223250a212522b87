package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

func TestParseStartup(t *testing.T) {
	const v3 = 3 << 16
	for _, tc := range []struct {
		name   string
		code   uint32
		packet string
		want   string // user/database/params, or the error's SQLSTATE
	}{
		{"usual", v3, "user\x00u\x00database\x00d\x00\x00", "u/d/"},
		{"database is the user's", v3, "user\x00u\x00\x00", "u/u/"},
		{"empty database", v3, "user\x00u\x00database\x00\x00\x00", "u/u/"},
		{"parameters are sorted", v3, "b\x002\x00user\x00u\x00a\x001\x00\x00", "u/u/a=1=b=2="},
		{"application name", v3, "user\x00u\x00application_name\x00psql\x00\x00", "u/u/application_name=psql= (psql)"},
		{"last user counts", v3, "user\x00a\x00user\x00b\x00\x00", "b/b/"},
		{"replication", v3, "user\x00u\x00replication\x00database\x00\x00", "u/u/replication=database= replication"},
		{"no replication", v3, "user\x00u\x00replication\x00FALSE\x00\x00", "u/u/"},
		{"protocol extension", v3, "user\x00u\x00_pq_.x\x001\x00_pq_.y\x00\x00\x00", "u/u/ negotiate 2"},
		{"newer minor version", v3 + 3, "user\x00u\x00\x00", "u/u/ negotiate 0"},
		{"no user", v3, "database\x00d\x00\x00", "28000"},
		{"empty user", v3, "user\x00\x00\x00", "28000"},
		{"nothing", v3, "", "08P01"},
		{"no parameters", v3, "\x00", "28000"},
		{"no terminator", v3, "user\x00u\x00", "08P01"},
		{"name without value", v3, "user\x00", "08P01"},
		{"unfinished name", v3, "user", "08P01"},
		{"unfinished value", v3, "user\x00u", "08P01"},
		{"bytes after the terminator", v3, "user\x00u\x00\x00x", "08P01"},
		{"protocol 2", 2 << 16, "", "old"},
		{"protocol 1", 1 << 16, "", "old"},
		{"protocol 0", 0, "", "old"},
		{"protocol 4", 4 << 16, "", "0A000"},
		{"protocol 65535.65535", 0xffffffff, "", "0A000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := parseStartup(tc.code, []byte(tc.packet))
			got := ""
			var old errOldProtocol
			switch {
			case errors.As(err, &old):
				got = "old"
			case err != nil:
				got = wire.AsError(err).Code
			default:
				got = req.key.User + "/" + req.key.Database + "/" + strings.ReplaceAll(req.key.Params, "\x00", "=")
				if req.application != "" {
					got += " (" + req.application + ")"
				}
				if req.replication != notReplication {
					got += " replication"
				}
				if req.negotiate != nil {
					typ, size, err := wire.Header(req.negotiate)
					if typ != wire.NegotiateProtocol || err != nil || size != len(req.negotiate) {
						t.Errorf("malformed negotiation %x", req.negotiate)
					}
					got += fmt.Sprint(" negotiate ", binary.BigEndian.Uint32(req.negotiate[9:]))
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzStartup(f *testing.F) {
	f.Add(uint32(3<<16), []byte("user\x00u\x00database\x00d\x00\x00"))
	f.Add(uint32(3<<16+1), []byte("user\x00u\x00_pq_.a\x00\x00\x00"))
	f.Add(uint32(2<<16), []byte{})
	f.Add(uint32(3<<16), []byte("user\x00u\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, code uint32, packet []byte) {
		req, err := parseStartup(code, packet)
		if (req == nil) == (err == nil) {
			t.Fatal("neither a request nor an error, or both")
		}
		if err != nil {
			return
		}
		if req.key.User == "" || req.key.Database == "" {
			t.Fatal("no user or database")
		}
		if n := strings.Count(req.key.Params, "\x00"); n%2 != 0 {
			t.Fatalf("%d zeros in the parameters", n)
		}
		if strings.Contains(req.key.User+req.key.Database, "\x00") {
			t.Fatal("zero in a name")
		}
	})
}

func TestUnitAdd(t *testing.T) {
	read := &parser.Verdict{Access: parser.AccessRead, Reason: "r", Single: parser.KindSelect, Statements: make([]parser.Statement, 1)}
	read2 := &parser.Verdict{Access: parser.AccessRead, Reason: "r2", Single: parser.KindSelect, TransactionScoped: true}
	write := &parser.Verdict{Access: parser.AccessWrite, Reason: "w", Single: parser.KindWrite, CreatesTemp: true}
	begin := &parser.Verdict{Access: parser.AccessTransaction, Reason: "b", Single: parser.KindBegin, Stateful: true}
	for _, tc := range []struct {
		name string
		add  []*parser.Verdict
		want string
	}{
		{"none", nil, "nil"},
		{"one", []*parser.Verdict{read}, "read r single"},
		{"the same twice", []*parser.Verdict{read, read}, "read r single"},
		{"two reads", []*parser.Verdict{read, read2}, "read r scoped"},
		{"read and write", []*parser.Verdict{read, write}, "write w temp"},
		{"write and read", []*parser.Verdict{write, read}, "write w temp"},
		{"three", []*parser.Verdict{read2, begin, write}, "write w scoped temp stateful"},
		{"unknown", []*parser.Verdict{nil}, "opaque nil"},
		{"unknown first", []*parser.Verdict{nil, read}, "opaque nil"},
		{"unknown last", []*parser.Verdict{read, write, nil}, "opaque nil"},
		{"unknown between", []*parser.Verdict{read, nil, write}, "opaque nil"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var u unit
			for _, v := range tc.add {
				u.add(v)
			}
			if u.names != (len(tc.add) > 0) {
				t.Errorf("names is %v", u.names)
			}
			var got []string
			if u.opaque {
				got = append(got, "opaque")
			}
			if v := u.verdict; v == nil {
				got = append(got, "nil")
			} else {
				got = append(got, fmt.Sprint(v.Access), v.Reason)
				if v.Single != parser.KindUnknown {
					got = append(got, "single")
				}
				if v.TransactionScoped {
					got = append(got, "scoped")
				}
				if v.CreatesTemp {
					got = append(got, "temp")
				}
				if v.Stateful {
					got = append(got, "stateful")
				}
			}
			if g := strings.Join(got, " "); g != tc.want {
				t.Errorf("got %q, want %q", g, tc.want)
			}
		})
	}
	if read.Single != parser.KindSelect || len(read.Statements) != 1 || read.TransactionScoped {
		t.Error("a shared verdict was changed")
	}
}

// planner is a session that can plan, and nothing else.
func planner() *session {
	s := &session{srv: &Server{parser: parser.New(parser.Options{})}, set: &settings{maxBuffered: 1 << 20, maxStatements: 100, maxStatementMemory: 1 << 20}}
	s.unit.reset()
	return s
}

func TestPlanMessage(t *testing.T) {
	type in struct {
		typ  byte
		body string
	}
	parse := func(name, sql string) in { return in{wire.Parse, name + "\x00" + sql + "\x00\x00\x00"} }
	bind := func(portal, name string) in {
		return in{wire.Bind, portal + "\x00" + name + "\x00\x00\x00\x00\x00\x00\x00"}
	}
	execute := func(portal string, rows byte) in { return in{wire.Execute, portal + "\x00\x00\x00\x00" + string(rows)} }
	sync := in{wire.Sync, ""}
	for _, tc := range []struct {
		name string
		in   []in
		want string
	}{
		{"unnamed", []in{parse("", "SELECT 1"), bind("", ""), {wire.Describe, "P\x00"}, execute("", 0), sync}, "access read, 1 executed"},
		{"named", []in{parse("p", "DELETE FROM t"), bind("", "p"), execute("", 0), sync}, "access write, 1 executed"},
		{"two", []in{parse("", "SELECT 1"), bind("", ""), execute("", 0), parse("", "DELETE FROM t"), bind("", ""), execute("", 0), sync}, "access write, 2 executed"},
		{"name taken", []in{parse("p", "SELECT 1"), parse("p", "SELECT 2"), sync}, "access read, taken"},
		{"named portal", []in{parse("", "SELECT 1"), bind("c", ""), execute("c", 0), sync}, "access read, 1 executed, keeps"},
		{"row limit", []in{parse("", "SELECT 1"), bind("", ""), execute("", 9), sync}, "access read, 1 executed, keeps"},
		{"statement that is not known", []in{bind("", "nope"), execute("", 0), sync}, "opaque, 1 executed"},
		{"portal that is not known", []in{execute("nope", 0), sync}, "opaque, 1 executed"},
		{"unnamed statement that is not there", []in{bind("", ""), sync}, "opaque, gone"},
		{"describe only", []in{parse("", "SELECT 1"), {wire.Describe, "S\x00"}, sync}, "access read"},
		{"close only", []in{{wire.Close, "Sp\x00"}, sync}, "names nothing"},
		{"sync only", []in{sync}, "names nothing"},
		{"flush", []in{{wire.Flush, ""}}, "names nothing"},

		{"parse: empty", []in{{wire.Parse, ""}}, "opaque"},
		{"parse: name only", []in{{wire.Parse, "p\x00"}}, "opaque"},
		{"parse: unfinished text", []in{{wire.Parse, "p\x00SELECT 1"}}, "opaque"},
		{"parse: no parameter count", []in{{wire.Parse, "\x00SELECT 1\x00"}}, "access read"},
		{"parse: empty text", []in{parse("", "")}, "access none"},
		{"parse: not SQL", []in{parse("", "FROBNICATE")}, "access unknown"},
		{"bind: empty", []in{{wire.Bind, ""}}, "opaque"},
		{"bind: portal only", []in{{wire.Bind, "c\x00"}}, "opaque"},
		{"bind: unfinished", []in{{wire.Bind, "c\x00p"}}, "opaque"},
		{"describe: empty", []in{{wire.Describe, ""}}, "opaque"},
		{"describe: kind only", []in{{wire.Describe, "S"}}, "opaque"},
		{"describe: unfinished", []in{{wire.Describe, "Sp"}}, "opaque, gone"},
		{"describe: other kind", []in{{wire.Describe, "Xp\x00"}}, "opaque"},
		{"execute: empty", []in{{wire.Execute, ""}}, "opaque"},
		{"execute: no row limit", []in{{wire.Execute, "\x00"}}, "opaque"},
		{"execute: half a row limit", []in{{wire.Execute, "\x00\x00\x00"}}, "opaque"},
		{"close: empty", []in{{wire.Close, ""}}, "opaque"},
		{"close: unfinished", []in{{wire.Close, "Sp"}}, "names nothing"},
		{"sync with a body", []in{{wire.Sync, "x"}}, "opaque"},
		{"unknown type", []in{{'?', ""}}, "error 08P01"},
		{"startup in the middle", []in{{0, ""}}, "error 08P01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := planner()
			off := 0
			var got []string
			for _, m := range tc.in {
				msg := wire.AppendMessage(nil, m.typ, m.body)
				if err := s.planMessage(m.typ, msg, off); err != nil {
					got = append(got, "error "+wire.AsError(err).Code)
				}
				off += len(msg)
			}
			u := &s.unit
			switch {
			case len(got) > 0:
			case u.opaque:
				got = append(got, "opaque")
			case !u.names:
				got = append(got, "names nothing")
			default:
				got = append(got, fmt.Sprint("access ", u.verdict.Access))
			}
			if u.executes > 0 {
				got = append(got, fmt.Sprint(u.executes, " executed"))
			}
			if u.keepsPortal {
				got = append(got, "keeps")
			}
			for i := range u.msgs {
				if u.msgs[i].taken {
					got = append(got, "taken")
				}
				if u.msgs[i].gone {
					got = append(got, "gone")
				}
			}
			if g := strings.Join(got, ", "); g != tc.want {
				t.Errorf("got %q, want %q", g, tc.want)
			}
		})
	}
}

func TestStatementsLifetime(t *testing.T) {
	v1, v2 := &parser.Verdict{}, &parser.Verdict{}
	var st statements
	if st.find(nil) != nil || st.find([]byte("a")) != nil {
		t.Error("found in nothing")
	}
	a := st.parsed([]byte("a"), []byte("Pa"), v1, 1)
	if st.find([]byte("a")) != a || string(a.parse) != "Pa" || a.verdict != v1 {
		t.Error("a is not found")
	}
	// What an unnamed statement displaces stays until its unit is over, then it is used again.
	u1 := st.parsed(nil, []byte("P1"), v1, 1)
	u1.on = [2]uint64{7, 8}
	u2 := st.parsed(nil, []byte("P2"), v2, 2)
	if u2 == u1 || string(u1.parse) != "P1" || string(u2.parse) != "P2" || u2.verdict != v2 {
		t.Error("a displaced statement was overwritten")
	}
	u3 := st.parsed(nil, []byte("P3"), v1, 2)
	if u3 == u2 || u3 == u1 || string(u1.parse) != "P1" || string(u2.parse) != "P2" {
		t.Error("an unnamed statement in use was overwritten")
	}
	// Skipped, it leaves the one before it; so does a skipped Query.
	st.replaceUnnamed(u2)
	if st.displaceUnnamed(2) != u2 || st.find(nil) != nil {
		t.Error("a Query did not end the unnamed statement")
	}
	st.replaceUnnamed(u2)
	if st.find(nil) != u2 || string(u2.parse) != "P2" {
		t.Error("the unnamed statement is not back after the Query was skipped")
	}
	st.displaceUnnamed(2)
	if u4 := st.parsed(nil, []byte("P4"), v1, 3); u4 != u2 || u4.on != [2]uint64{} {
		t.Error("the displaced one was not used again")
	}
	// A failed Close puts back, a failed Parse takes away; an older statement of the name never wins.
	st.forget(a)
	if st.find([]byte("a")) != nil {
		t.Error("a is found after Close")
	}
	st.restore(a)
	if st.find([]byte("a")) != a {
		t.Error("a is not found after its Close failed")
	}
	st.forget(a)
	b := st.parsed([]byte("a"), []byte("Pb"), v2, 4)
	st.restore(a)
	st.forget(a)
	if st.find([]byte("a")) != b {
		t.Error("a newer statement of the name was replaced or forgotten")
	}
	st.bound(nil, v1, 10)
	st.bound([]byte("c"), v2, 10)
	if st.portalVerdict(nil) != v1 || st.portalVerdict([]byte("c")) != v2 || st.portalVerdict([]byte("d")) != nil {
		t.Error("portals are confused")
	}
	st.closePortals()
	if st.portalVerdict(nil) != nil || st.portalVerdict([]byte("c")) != nil {
		t.Error("portals are open after their end")
	}
}

func TestUnnamedStatementAllocatesNothing(t *testing.T) {
	var st statements
	msg, v := []byte("Pmessage"), &parser.Verdict{}
	st.parsed(nil, msg, v, 0)
	unit := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		unit++
		st.parsed(nil, msg, v, unit)
		st.find(nil)
		st.displaceUnnamed(unit)
	}); n != 0 {
		t.Errorf("%v allocations per unnamed statement", n)
	}
}

func TestLeaseDropToSync(t *testing.T) {
	for _, tc := range []struct {
		name     string
		owed     []reply
		own      int // that many at the start are howdah's
		left     int
		ignoring bool
	}{
		{"nothing", nil, 0, 0, true},
		{"query", []reply{replyQuery}, 0, 1, false},
		{"cycle", []reply{replyParse, replyBind, replyExecute, replySync}, 0, 1, false},
		{"cycle, then another", []reply{replyBind, replySync, replyParse, replySync}, 0, 3, false},
		{"before a flush", []reply{replyParse, replyBind, replyExecute}, 0, 0, true},
		{"extended before a query", []reply{replyParse, replyBind, replyExecute, replyQuery}, 3, 0, true},
		{"extended, query, another cycle", []reply{replyExecute, replyQuery, replyBind, replySync}, 0, 1, false},
		{"close", []reply{replyClose, replySync}, 0, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var st statements
			l := &lease{id: 5, slot: balancer.ToRead, carried: &carried{}}
			var made, closed []*prepared
			for i, r := range tc.owed {
				e := expected{reply: r, swallow: i < tc.own}
				switch r {
				case replyParse:
					e.stmt = st.parsed([]byte(fmt.Sprint("s", i)), nil, nil, 1)
					e.stmt.on[l.slot] = l.id
					if !e.swallow {
						made = append(made, e.stmt)
					}
				case replyClose:
					e.stmt = st.parsed([]byte(fmt.Sprint("s", i)), nil, nil, 1)
					st.forget(e.stmt)
					closed = append(closed, e.stmt)
				}
				l.expect(e)
			}
			l.dropToSync(&st)
			if left := len(l.owed) - l.head; left != tc.left || l.ignoring != tc.ignoring {
				t.Errorf("%d replies left, ignoring %v; want %d, %v", left, l.ignoring, tc.left, tc.ignoring)
			}
			dropped := l.owed[:l.head]
			for _, e := range dropped {
				if e.reply == replyParse && l.has(e.stmt) {
					t.Error("a statement that was not made counts as made")
				}
			}
			for _, p := range made {
				if was := l.has(p); (st.find([]byte(p.name)) == p) != was {
					t.Errorf("statement %s: known %v, on the server %v", p.name, !was, was)
				}
			}
			for _, p := range closed {
				if st.find([]byte(p.name)) != p {
					t.Error("a statement whose Close was not carried out is forgotten")
				}
			}
		})
	}
}
