package proxy

import "testing"

func TestDifference(t *testing.T) {
	a1, a2, b := setting{"a", "SET a = 1", "1"}, setting{"a", "SET a = 2", "2"}, setting{"b.c", "SET b.c = 1", "1"}
	role := setting{"role", "SET ROLE r", "r"}
	odd := setting{`a "b`, `SET "a ""b" = 1`, "1"}
	list := func(s ...setting) []setting { return s }
	const clean = "SET SESSION AUTHORIZATION DEFAULT;RESET ROLE;RESET ALL;"
	for _, tc := range []struct {
		name       string
		have, want []setting
		sql        string
	}{
		{"nothing", nil, nil, ""},
		{"the same", list(a1, b), list(a1, b), ""},
		{"in another order", list(a1, b), list(b, a1), ""},
		{"on a clean connection", nil, list(a1, b), "SET a = 1;SET b.c = 1;"},
		{"a clean connection again", list(a1, b), nil, "RESET a;RESET b.c;"},
		{"another value", list(a1, b), list(b, a2), "SET a = 2;"},
		{"one more, one less", list(a1), list(b), "RESET a;SET b.c = 1;"},
		{"a role on a clean connection", nil, list(role, a1), "SET ROLE r;SET a = 1;"},
		{"a role is had", list(role), list(a1), clean + "SET a = 1;"},
		{"a role is wanted", list(a1), list(a1, role), clean + "SET a = 1;SET ROLE r;"},
		{"another date style", list(setting{"datestyle", "SET datestyle TO 'SQL'", "SQL"}), list(setting{"datestyle", "SET datestyle TO 'YMD'", "YMD"}),
			"RESET datestyle;SET datestyle TO 'YMD';"},
		{"a name that must be quoted", list(odd), nil, clean},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if sql := difference(tc.have, tc.want); sql != tc.sql {
				t.Errorf("got  %s\nwant %s", sql, tc.sql)
			}
		})
	}
}
