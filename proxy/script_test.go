package proxy_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/howdah/howdah/wire"
)

// Pieces of servers' answers.
var (
	columns1 = appendColumns(nil, 1)
	row1     = appendRow(nil, "x")
	selected = wire.AppendMessage(nil, wire.CommandComplete, "SELECT 1\x00")
	inserted = wire.AppendMessage(nil, wire.CommandComplete, "INSERT 0 1\x00")
	idle     = wire.AppendReady(nil, wire.TxIdle)
	notice   = wire.AppendNotice(nil, "NOTICE", &wire.Error{Code: "00000", Message: "hear, hear"})
	crash    = wire.AppendNotice(nil, "WARNING", &wire.Error{Code: "57P02", Message: "another server process exited abnormally"})
	many     = bytes.Repeat(row1, manyRows)
	notify   = wire.AppendMessage(nil, wire.NotificationResponse, "\x00\x00\x00\x07chan\x00payload\x00")
)

// manyRows are more than howdah reads at once.
const manyRows = 40_000

func status(name, value string) []byte {
	return wire.AppendMessage(nil, wire.ParameterStatus, name, "\x00", value, "\x00")
}

func failure(severity, code string) []byte {
	return wire.AppendError(nil, severity, &wire.Error{Code: code, Message: "scripted"})
}

// long is a message of the type whose length field says size and whose body is missing.
func long(typ byte, size uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{typ}, size)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// on answers simple queries that begin with text by bytes, and hangs up after them if end is set.
func on(text string, bytes []byte, end bool) func(*fakeConn, byte, []byte) answer {
	return func(c *fakeConn, typ byte, body []byte) answer {
		if typ != wire.Query || !strings.HasPrefix(string(body), text) {
			return pass
		}
		c.Write(bytes)
		if end {
			return hangUp
		}
		return done
	}
}

// What a server answers to one simple query, and what the client gets. Both
// nodes then do as usual again, and the session (if it goes on) and another one must be right.
func TestServerAnswersOddly(t *testing.T) {
	const (
		onPrimary = "T D(primary) C(SELECT 1) Z(I)" // run again there
		lost      = "E(ERROR 08007) Z(I)"           // the session goes on
	)
	half := row1[:len(row1)-1]
	big := appendRow(nil, strings.Repeat("0123456789abcdef", 1<<16))
	for _, tc := range []oddAnswer{
		{name: "usual read", read: true, answer: join(columns1, row1, selected, idle), want: "T D(x) C(SELECT 1) Z(I)", kept: true},
		{name: "usual write", answer: join(inserted, idle), want: "C(INSERT 0 1) Z(I)", kept: true},
		{name: "error", answer: join(failure("ERROR", "23505"), idle), want: "E(ERROR 23505) Z(I)", kept: true},
		{name: "error of a read", read: true, answer: join(failure("ERROR", "22012"), idle), want: "E(ERROR 22012) Z(I)", kept: true},
		{name: "error that only a standby gives", read: true, answer: join(failure("ERROR", "25006"), idle), want: onPrimary, kept: true},
		{name: "error after rows that only a standby gives", read: true, answer: join(columns1, row1, failure("ERROR", "40001"), idle), want: onPrimary, kept: true},
		{name: "error after more rows than are held back", read: true, answer: join(columns1, many, failure("ERROR", "40001"), idle),
			want: "T" + strings.Repeat(" D(x)", manyRows) + " E(ERROR 40001) Z(I)", kept: true},
		{name: "warning before such an error", read: true, answer: join(notice, columns1, failure("ERROR", "40001"), idle), want: onPrimary, kept: true},

		{name: "setting changed in the middle", answer: join(status("TimeZone", "UTC"), inserted, status("application_name", "a"), idle),
			want: "S(TimeZone=UTC) C(INSERT 0 1) S(application_name=a) Z(I)", kept: true},
		{name: "setting of a standby", read: true, answer: join(columns1, status("TimeZone", "UTC"), row1, selected, status("a", "b"), idle),
			want: "T D(x) C(SELECT 1) Z(I)", kept: true},
		{name: "notification in the middle", answer: join(notify, inserted, notify, idle),
			want: "A(chan\x00payload) C(INSERT 0 1) A(chan\x00payload) Z(I)", kept: true},
		{name: "notification of a standby", read: true, answer: join(notify, columns1, notify, row1, notify, selected, notify, idle),
			want: "T D(x) C(SELECT 1) Z(I)", kept: true},
		{name: "malformed setting", answer: join(wire.AppendMessage(nil, wire.ParameterStatus, "a"), inserted, idle), want: "S(a) C(INSERT 0 1) Z(I)", kept: true},
		{name: "empty command tag", answer: join(wire.AppendMessage(nil, wire.CommandComplete), idle), want: "C Z(I)", kept: true},

		{name: "garbage for a read", read: true, answer: []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), end: true, want: onPrimary},
		{name: "garbage for a write", answer: []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), end: true, want: lost},
		{name: "zero bytes", read: true, answer: make([]byte, 100), want: onPrimary},
		{name: "length of 2 GB", answer: long(wire.DataRow, 1<<31), want: lost},
		{name: "length of 3", answer: long(wire.CommandComplete, 3), want: lost},
		{name: "nothing for a read", read: true, end: true, want: onPrimary},
		{name: "nothing for a write", end: true, want: lost},
		{name: "part of a header", read: true, answer: []byte{'T', 0}, end: true, want: onPrimary},
		{name: "columns only", read: true, answer: columns1, end: true, want: onPrimary},
		{name: "end after a row", read: true, answer: join(columns1, row1), end: true, want: "T D(x) E(ERROR 40001) Z(I)"},
		{name: "end before ReadyForQuery", answer: inserted, end: true, want: "C(INSERT 0 1) " + lost},
		{name: "end in a row", read: true, answer: join(columns1, row1, half), end: true, want: "T D(x) cut"},
		{name: "end in a long row", read: true, answer: join(columns1, long(wire.DataRow, 1000), make([]byte, 500)), end: true, want: "T cut"},
		{name: "end in a long row of which nearly all came", read: true, answer: join(columns1, long(wire.DataRow, 1000), make([]byte, 995)), end: true, want: "T cut"},
		{name: "length of 3 behind a long row", read: true, answer: join(columns1, big, long(wire.CommandComplete, 3)), want: "T D(long) E(ERROR 40001) Z(I)"},
		{name: "end in a long error", answer: join(long(wire.ErrorResponse, 3<<20), make([]byte, 1<<20)), end: true, want: lost},

		{name: "fatal before a read's answer", read: true, answer: failure("FATAL", "57P01"), end: true, want: onPrimary},
		{name: "fatal after a row", read: true, answer: join(columns1, row1, failure("FATAL", "57P01")), end: true, want: onPrimary},
		{name: "fatal after more rows than are held back", read: true, answer: join(columns1, many, failure("FATAL", "57P01")), end: true,
			want: "T" + strings.Repeat(" D(x)", manyRows) + " E(FATAL 57P01) EOF"},
		{name: "fatal after a statement", read: true, answer: join(columns1, row1, selected, failure("FATAL", "57P01")), end: true, want: onPrimary},
		{name: "warning of a crash", read: true, answer: crash, end: true, want: onPrimary},
		{name: "warning of a crash after a row", read: true, answer: join(columns1, row1, crash), end: true, want: onPrimary},
		{name: "warning of a crash after a statement", read: true, answer: join(columns1, row1, selected, crash), end: true, want: onPrimary},
		{name: "warning like that of a crash", read: true, answer: join(columns1, row1, crash, row1, selected, idle), want: "T D(x) N(WARNING 57P02) D(x) C(SELECT 1) Z(I)", kept: true},
		{name: "setting of a standby after what is held back", read: true, answer: join(columns1, status("TimeZone", "UTC")), end: true, want: onPrimary},
		{name: "garbage after a row", read: true, answer: join(columns1, row1, []byte("HTTP/1.1 400 Bad Request\r\n\r\n")), end: true, want: onPrimary},
		{name: "odd message after a row", read: true, answer: join(columns1, row1, wire.AppendMessage(nil, wire.BindComplete)), end: true, want: onPrimary},
		{name: "fatal for a write", answer: failure("FATAL", "57P01"), end: true, want: "E(FATAL 57P01) EOF"},

		{name: "ReadyForQuery without a status", answer: join(inserted, wire.AppendMessage(nil, wire.ReadyForQuery)), want: "C(INSERT 0 1) " + lost},
		{name: "ReadyForQuery with an unknown status", answer: join(inserted, wire.AppendReady(nil, 'X')), want: "C(INSERT 0 1) " + lost},
		{name: "ParseComplete for a query", answer: wire.AppendMessage(nil, wire.ParseComplete), want: lost},
		{name: "unknown message", answer: wire.AppendMessage(nil, 'x', "hello"), want: lost},
		{name: "authentication request", answer: wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x03"), want: lost},
		{name: "cancel key", answer: wire.AppendMessage(nil, wire.BackendKeyData, "12345678"), want: lost},
		{name: "copy both", answer: wire.AppendMessage(nil, wire.CopyBothResponse, "\x00\x00\x00"), want: lost},
		{name: "row behind the end of a write", answer: join(inserted, idle, row1), want: "C(INSERT 0 1) Z(I)"},
		{name: "error behind the end of a write", answer: join(inserted, idle, failure("ERROR", "25006")), want: "C(INSERT 0 1) Z(I)"},
		{name: "error behind the end of a read", read: true, answer: join(columns1, row1, selected, idle, failure("ERROR", "22012")), want: "T D(x) C(SELECT 1) Z(I)"},
		{name: "part of a row behind the end of a write", answer: join(inserted, idle, half), end: true, want: "C(INSERT 0 1) Z(I)"},
		{name: "part of a long row behind the end of a write", answer: join(inserted, idle, long(wire.DataRow, 1000), make([]byte, 500)), end: true, want: "C(INSERT 0 1) Z(I)"},
		{name: "row behind the end of a read", read: true, answer: join(columns1, row1, selected, idle, row1), want: "T D(x) C(SELECT 1) Z(I)"},
		{name: "part of a long row behind the end of a read", read: true, answer: join(columns1, row1, selected, idle, long(wire.DataRow, 1000), make([]byte, 500)), want: "T D(x) C(SELECT 1) Z(I)"},
		{name: "error without fields", answer: join(wire.AppendMessage(nil, wire.ErrorResponse), idle), want: "E( ) Z(I)", kept: true},
		{name: "error with half a field", read: true, answer: join(wire.AppendMessage(nil, wire.ErrorResponse, "SERR"), idle), want: "E( ) Z(I)", kept: true},
	} {
		answersOddly(t, tc, false)
		if tc.read {
			// What comes after other reads is not planned before it is sent.
			tc.name += ", after others"
			answersOddly(t, tc, true)
		}
	}
}

// oddAnswer is what a server answers to one simple query.
type oddAnswer struct {
	name   string
	read   bool // a SELECT on the standby, else an INSERT on the primary
	answer []byte
	end    bool // then it hangs up
	want   string
	// kept: the connection is as good as before.
	kept bool
}

func answersOddly(t *testing.T, tc oddAnswer, fast bool) {
	const onPrimary = "T D(primary) C(SELECT 1) Z(I)"
	t.Run(tc.name, func(t *testing.T) {
		primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
		h := start(t, nil, primary, standby)
		c := connectAs(t, h.addr, "u")
		target, node, text := primary, 0, "INSERT INTO x DEFAULT VALUES"
		if tc.read {
			target, node, text = standby, 1, "SELECT x"
		}
		if fast {
			c.goFast("SELECT x")
		}
		target.scripted(on(text, tc.answer, tc.end))
		got := c.query(text)
		if got != tc.want && strings.HasPrefix(tc.want, got) { // an error after the first ReadyForQuery
			got += " " + c.answer()
		}
		if got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
		target.scripted(nil)
		if strings.HasSuffix(got, "Z(I)") {
			if got := c.query("SELECT y"); !slices.Contains([]string{"T D(standby) C(SELECT 1) Z(I)", onPrimary}, got) {
				t.Errorf("the session's next read: %s", got)
			}
			if got := c.query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("the session's next write: %s", got)
			}
		}
		before := target.opened.Load()
		c.Close()
		h.settled(t, 0)
		h.settled(t, 1)
		d := connectAs(t, h.addr, "u")
		if got := d.query("SELECT y"); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Errorf("another session's read: %s", got)
		}
		// Settings that differ between the nodes' logins and this connection may be told first.
		if got := d.query("INSERT INTO y DEFAULT VALUES"); !strings.HasSuffix(got, "C(INSERT) Z(I)") {
			t.Errorf("another session's write: %s", got)
		}
		if reused := target.opened.Load() == before; tc.kept && !reused {
			t.Errorf("node %d's connection is not used again", node)
		}
	})
}

// A bad connection must be closed even if the server leaves it open.
func TestBadConnectionIsClosed(t *testing.T) {
	for name, bad := range map[string][]byte{
		"garbage":        []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"two answers":    join(inserted, idle, inserted, idle),
		"half a message": join(inserted, idle, []byte{'N', 0, 0}),
		"empty ready":    join(inserted, wire.AppendMessage(nil, wire.ReadyForQuery)),
		"wrong reply":    join(wire.AppendMessage(nil, wire.BindComplete), inserted, idle),
	} {
		t.Run(name, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, nil, primary)
			c := connectAs(t, h.addr, "u")
			if got := c.query("SELECT 1"); !strings.Contains(got, "primary") {
				t.Fatal(got)
			}
			primary.scripted(on("INSERT", bad, false))
			c.send(wire.AppendQuery(nil, "INSERT INTO x DEFAULT VALUES"))
			c.answer()
			c.Close()
			// The session's connection was 1: nobody may get it again.
			h.settled(t, 0)
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if c.pid == 1 {
					t.Errorf("message %q on the bad connection", typ)
				}
				return pass
			})
			if got := connectAs(t, h.addr, "u").query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("next session: %s", got)
			}
		})
	}
}

// Whatever pieces an answer comes in, its bytes reach the client unchanged.
func TestAnswersInPieces(t *testing.T) {
	big := appendRow(nil, strings.Repeat("0123456789abcdef", 10<<20/16))
	notices := bytes.Repeat(notice, 20_000)
	for _, tc := range []struct {
		name   string
		answer []byte
		piece  int
	}{
		{"byte by byte", join(notice, columns1, row1, notice, row1, selected, idle), 1},
		{"three by three", join(columns1, row1, row1, row1, selected, columns1, row1, selected, idle), 3},
		{"flood of notices", join(notices, columns1, row1, notices, selected, notices, idle), 64 << 10},
		{"notices cut anywhere", join(bytes.Repeat(notice, 300), columns1, row1, selected, idle), 1000},
		{"row of 10 MB", join(columns1, big, row1, big, selected, idle), 100_000},
		{"columns of 3 MB", join(wire.AppendMessage(nil, wire.RowDescription, "\x00\x01", strings.Repeat("c", 3<<20)), row1, selected, idle), 50_000},
		{"notice of 3 MB", join(wire.AppendNotice(nil, "NOTICE", &wire.Error{Code: "00000", Message: strings.Repeat("c", 3<<20)}), columns1, row1, selected, idle), 50_000},
		{"a thousand rows at once", join(columns1, bytes.Repeat(row1, 100_000), selected, idle), 1 << 30},
	} {
		t.Run(tc.name, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, nil, primary, standby)
			c := connectAs(t, h.addr, "u")
			standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if typ != wire.Query {
					return pass
				}
				for b := tc.answer; len(b) > 0; {
					n := min(tc.piece, len(b))
					if c.Write(b[:n]) != nil {
						return hangUp
					}
					b = b[n:]
				}
				return done
			})
			for range 2 {
				c.send(wire.AppendQuery(nil, "SELECT x"))
				got := make([]byte, 0, len(tc.answer))
				for len(got) < len(tc.answer) {
					if len(c.Buffered()) == 0 {
						if err := c.Fill(); err != nil {
							t.Fatalf("after %d of %d bytes: %v", len(got), len(tc.answer), err)
						}
					}
					got = append(got, c.Buffered()...)
					c.Discard(len(c.Buffered()))
				}
				if !bytes.Equal(got, tc.answer) {
					t.Fatal("the client got other bytes than the server sent")
				}
			}
			c.Close()
			if s := h.settled(t, 1); s.Idle != 1 {
				t.Errorf("the standby's connection was not kept: %+v", s)
			}
		})
	}
}

// What a session loses with its server connection, and what its client is told.
func TestServerConnectionBreaks(t *testing.T) {
	half := row1[:len(row1)-1]
	for _, tc := range []struct {
		name   string
		before []string // statements that run as usual
		answer []byte
		how    answer
		want   string
		next   string // the session's next INSERT's answer, if it goes on
	}{
		{"write", nil, nil, hangUp, "E(ERROR 08007) Z(I)", "C(INSERT) Z(I)"},
		{"write, by reset", nil, nil, reset, "E(ERROR 08007) Z(I)", "C(INSERT) Z(I)"},
		{"in a block", []string{"BEGIN", "INSERT INTO a DEFAULT VALUES"}, nil, hangUp, "E(ERROR 40001) Z(E)", "E(ERROR 25P02) Z(E)"},
		{"in a block, by reset", []string{"BEGIN", "INSERT INTO a DEFAULT VALUES"}, nil, reset, "E(ERROR 40001) Z(E)", "E(ERROR 25P02) Z(E)"},
		{"temporary table", []string{"CREATE TEMP TABLE a (b int)"}, nil, hangUp, "E(FATAL 08006) EOF", ""},
		{"temporary table, by reset", []string{"CREATE TEMP TABLE a (b int)"}, nil, reset, "E(FATAL 08006) EOF", ""},
		{"listening", []string{"LISTEN a"}, nil, hangUp, "E(FATAL 08006) EOF", ""},
		{"in a row", nil, join(columns1, half), hangUp, "T cut", ""},
		{"in a row, by reset", nil, join(columns1, half), reset, "T cut", ""},
		{"settings only", []string{"SET TimeZone = 'UTC'"}, nil, hangUp, "E(ERROR 08007) Z(I)", "C(INSERT) Z(I)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, nil, primary)
			c := connectAs(t, h.addr, "u")
			for _, sql := range tc.before {
				if got := c.query(sql); strings.Contains(got, "E(") {
					t.Fatalf("%s: %s", sql, got)
				}
			}
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if !strings.HasPrefix(string(body), "INSERT") {
					return pass
				}
				if len(tc.answer) > 0 {
					c.Write(tc.answer)
				}
				return tc.how
			})
			if got := c.query("INSERT INTO x DEFAULT VALUES"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			primary.scripted(nil)
			if tc.next != "" {
				if got := c.query("INSERT INTO y DEFAULT VALUES"); got != tc.next {
					t.Errorf("next statement: got %s, want %s", got, tc.next)
				}
			}
			c.Close()
			h.settled(t, 0)
			if got := connectAs(t, h.addr, "u").query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("another session: %s", got)
			}
		})
	}
}

// Whether a COMMIT took effect cannot be known once its answer is lost, and the client is told so.
func TestCommitIsLost(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, nil, primary)
	c := connectAs(t, h.addr, "u")
	c.query("BEGIN")
	c.query("INSERT INTO x DEFAULT VALUES")
	primary.scripted(on("COMMIT", nil, true))
	if got := c.query("COMMIT"); !strings.HasPrefix(got, "E(ERROR 08007)") {
		t.Errorf("got %s", got)
	}
	primary.scripted(nil)
	c.query("ROLLBACK") // if the block still is open for the client
	if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
		t.Errorf("the session's next write: %s", got)
	}
}
