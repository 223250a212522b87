package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

// What howdah answers as an operator's question, and what it leaves to the servers.
func TestConsole(t *testing.T) {
	for sql, want := range map[string]string{
		"SHOW pool_nodes":                "SHOW pool_nodes",
		"show POOL_NODES;":               "SHOW pool_nodes",
		"SHOW howdah.nodes":              "SHOW howdah.nodes",
		"SHOW howdah.route":              "",
		"SHOW howdah.stats":              "",
		"SHOW pool_size":                 "",
		"SHOW search_path":               "",
		"SELECT 'SHOW pool_nodes'":       "",
		"PGPOOL SHOW port":               "PGPOOL SHOW port",
		"  pgpool  set a\tTO 'b' ; ":     "pgpool set a TO 'b'",
		"PGPOOL RESET ALL":               "PGPOOL RESET ALL",
		"PGPOOL":                         "",
		"PGPOOL DANCE now":               "",
		"PGPOOL SHOW port; DROP TABLE t": "",
		"SELECT pgpool show":             "",
	} {
		v := parser.Classify(sql)
		got := ""
		if len(v.Statements) > 0 {
			got = v.Statements[0].Console
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
		if want != "" && (!v.Own || v.Redefines) {
			t.Errorf("%s: own %v, redefines %v", sql, v.Own, v.Redefines)
		}
	}
}

func TestSplit(t *testing.T) {
	got, ok := parser.Split("SELECT ';'; /* ; */ SHOW pool_nodes ;SELECT 1")
	if !ok || len(got) != 3 || got[0] != "SELECT ';'" || got[2] != "SELECT 1" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := parser.Split("SELEC 1"); ok {
		t.Error("what does not parse was split")
	}
}
