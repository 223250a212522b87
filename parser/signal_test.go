package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestSignal(t *testing.T) {
	const session, process = "4194305", "4194304"
	for sql, want := range map[string]parser.Signal{
		"SELECT pg_cancel_backend(" + session + ")":                            {Session: 4194305},
		"select pg_catalog.pg_terminate_backend(2147483647);":                  {Session: 2147483647, Terminate: true},
		"SELECT pg_terminate_backend(" + session + ", 1000) AS done /* why */": {Session: 4194305, Terminate: true, Wait: 1000},
		"SELECT pg_terminate_backend(" + session + ", -1)":                     {Session: 4194305, Terminate: true, Wait: -1},
		"SELECT pg_terminate_backend(" + session + ", 10000000000)":            {Session: 4194305, Terminate: true, Wait: 10000000000},
		"SELECT pg_terminate_backend(timeout => 5, pid => " + session + ")":    {Session: 4194305, Terminate: true, Wait: 5},
		"SELECT pg_terminate_backend(" + session + ", timeout => 5)":           {Session: 4194305, Terminate: true, Wait: 5},
		"SELECT pg_terminate_backend(" + session + ", 1.5)":                    {},
		"SELECT pg_terminate_backend(" + session + ", NULL)":                   {},
		"SELECT pg_terminate_backend(" + session + ", '5')":                    {},
		"SELECT pg_terminate_backend(" + session + ", $1)":                     {},
		"SELECT pg_terminate_backend(timeout => 5)":                            {},
		"SELECT pg_terminate_backend(pid => 5, pid => 6)":                      {},
		"SELECT pg_cancel_backend(" + session + ", 5)":                         {},
		"SELECT pg_cancel_backend()":                                           {},
		"SELECT pg_cancel_backend(" + process + ")":                            {},
		"SELECT pg_cancel_backend(7)":                                          {},
		"SELECT pg_cancel_backend(-" + session + ")":                           {},
		"SELECT pg_cancel_backend($1)":                                         {Parameter: true},
		"SELECT pg_terminate_backend($1::int, 10) AS done":                     {Parameter: true, Terminate: true, Wait: 10},
		"SELECT pg_terminate_backend($1, $2)":                                  {Parameter: true, Terminate: true, WaitType: parser.Int8OID},
		"SELECT pg_terminate_backend(timeout => $2::int, pid => $1)":           {Parameter: true, Terminate: true, WaitType: parser.Int4OID},
		"SELECT pg_terminate_backend($1, $2::smallint)":                        {Parameter: true, Terminate: true, WaitType: parser.Int2OID},
		"SELECT pg_terminate_backend($1, $2::text)":                            {},
		"SELECT pg_terminate_backend($2, $1)":                                  {},
		"SELECT pg_terminate_backend($1, $1)":                                  {},
		"SELECT pg_cancel_backend($1::bigint)":                                 {},
		"SELECT pg_cancel_backend($1::pg_catalog.int4)":                        {Parameter: true},
		"SELECT pg_cancel_backend($1::text)":                                   {},
		"SELECT pg_cancel_backend($1::int[])":                                  {},
		"SELECT pg_cancel_backend($2)":                                         {},
		"SELECT pg_cancel_backend($1 + 1)":                                     {},
		"SELECT pg_cancel_backend($1), 1":                                      {},
		"SELECT mine.pg_cancel_backend(" + session + ")":                       {},
		"SELECT pg_cancel_backend(" + session + "), 1":                         {},
		"SELECT pg_cancel_backend(" + session + ") FROM t":                     {},
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity":                  {},
	} {
		v := parser.Classify(sql)
		if got := v.Statements[0].Signal; got != want || v.Own != (want.Session != 0 || want.Parameter) {
			t.Errorf("%s: got %+v, own %v, want %+v", sql, got, v.Own, want)
		}
	}
	// Of one shape, but not the same.
	p := parser.New(parser.Options{})
	for _, n := range []string{session, process, "4194306", "7"} {
		if own := p.Verdict([]byte("SELECT pg_cancel_backend(" + n + ")")).Own; own != (n == session || n == "4194306") {
			t.Errorf("%s: own %v", n, own)
		}
	}
}
