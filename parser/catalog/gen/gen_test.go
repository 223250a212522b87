package main

import (
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	rows := func(rows ...string) answer { return answer{rows: rows} }
	failed := func(state string) answer { return answer{state: state} }
	for _, c := range []struct {
		name                   string
		first, second, standby answer
		want                   string
	}{
		{"the same rows", rows("1", "2"), rows("1", "2"), rows("1", "2"), "="},
		{"no rows", rows(), rows(), rows(), "="},
		{"other rows", rows("1"), rows("1"), rows("2"), "!"},
		{"other rows each time", rows("1"), rows("2"), rows("3"), "~"},
		{"the same by chance on the standby", rows("1"), rows("2"), rows("2"), "~"},
		{"read-only transaction", rows("1"), rows("1"), failed("25006"), "r"},
		{"an answer each time, refused", rows("1"), rows("2"), failed("25006"), "r"},
		{"once only, refused", rows("1"), failed("42710"), failed("25006"), "r"},
		{"wrong arguments", failed("22023"), failed("22023"), failed("22023"), ""},
		{"during recovery only", failed("55000"), failed("55000"), rows("t"), "!"},
		{"two errors", failed("42710"), failed("42710"), failed("25006"), "!"},
		{"too slow on the primary", failed("57014"), failed("57014"), rows("1"), ""},
		{"too slow on the standby", rows("1"), rows("1"), failed("57014"), ""},
	} {
		if got := judge(c.first, c.second, c.standby).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    function
		want []string // the first calls
	}{
		{function{name: "now", kind: "f"}, []string{`SELECT pg_catalog."now"()`}},
		{
			function{name: "lower", kind: "f", volatility: "i", args: []string{"character"}},
			[]string{`SELECT pg_catalog."lower"(('abc')::character)`, "SELECT pg_catalog.\"lower\"(('')::character)"},
		},
		{
			function{name: "int4pl", kind: "f", args: []string{"boolean", "smallint"}},
			[]string{
				`SELECT pg_catalog."int4pl"((true)::boolean, (1)::smallint)`, `SELECT pg_catalog."int4pl"((false)::boolean, (2)::smallint)`,
				`SELECT pg_catalog."int4pl"((true)::boolean, (0)::smallint)`,
			},
		},
		{function{name: "count", kind: "a", aggregate: "n"}, []string{`SELECT pg_catalog."count"(*) FROM generate_series(1, 3)`}},
		{
			function{name: "percentile_disc", kind: "a", aggregate: "o", direct: 1, args: []string{"boolean", "anyelement"}},
			[]string{`SELECT pg_catalog."percentile_disc"((true)::boolean) WITHIN GROUP (ORDER BY 1) FROM generate_series(1, 3)`},
		},
		{
			function{name: "rank", kind: "a", aggregate: "h", direct: 1, args: []string{`"any"`}},
			[]string{`SELECT pg_catalog."rank"(1) WITHIN GROUP (ORDER BY 1) FROM generate_series(1, 3)`},
		},
		{
			function{name: "jsonb_extract_path", kind: "f", variadic: true, args: []string{"jsonpath", "name[]"}},
			[]string{`SELECT pg_catalog."jsonb_extract_path"(('$.a')::jsonpath, VARIADIC ('{a,b}')::name[])`},
		},
		{function{name: "row_number", kind: "w"}, []string{`SELECT pg_catalog."row_number"() OVER () FROM generate_series(1, 3)`}},
		{
			function{name: "json_to_record", kind: "f", columns: true, args: []string{"jsonpath"}},
			[]string{`SELECT * FROM pg_catalog."json_to_record"(('$.a')::jsonpath) AS t(a int, b text)`},
		},
		{function{name: "uuid", kind: typeKind, args: []string{"macaddr"}}, []string{`SELECT pg_catalog."uuid"('08:00:2b:01:02:03')`}},
		{function{name: "ri", kind: "f", result: "trigger"}, nil},
		{function{name: "bthandler", kind: "f", result: "index_am_handler"}, nil},
		{function{name: "array_agg_transfn", kind: "f", args: []string{"internal", "anynonarray"}}, nil},
		{function{name: "pg_promote", kind: "f", args: []string{"boolean", "integer"}}, nil},
	} {
		got := c.p.calls()
		if len(got) < len(c.want) || !slices.Equal(got[:len(c.want)], c.want) || len(c.want) == 0 && len(got) > 0 {
			t.Errorf("%s: got %q, want %q first", c.p.name, got, c.want)
		}
	}
}

// TestCallsAreBounded: many arguments with many samples must not multiply.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	p := function{name: "f", kind: "f", volatility: "s", args: []string{"text", "oid", "text", "oid", "text", "oid"}}
	calls := p.calls()
	if len(calls) > callsOther || len(calls) < 40 {
		t.Errorf("%d calls", len(calls))
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(calls)))
	if len(sorted) != len(calls) {
		t.Errorf("%d of %d calls are different", len(sorted), len(calls))
	}
}

func TestParseFunction(t *testing.T) {
	t.Parallel()
	p, err := parseFunction("7\tpercentile_disc\ta\ti\ts\tanyelement\tf\tf\to\t1\tdouble precision;anyelement")
	if err != nil || p.name != "percentile_disc" || p.direct != 1 || !slices.Equal(p.args, []string{"double precision", "anyelement"}) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := parseFunction("7\tf"); err == nil {
		t.Error("a row without its fields: no error")
	}
}
