package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// poolShows are what Pgpool-II answers to SHOW. No server has a setting of such a
// name: those that have no dot are PostgreSQL's own.
var poolShows = map[string]bool{
	"pool_nodes": true, "pool_pools": true, "pool_processes": true, "pool_status": true, "pool_version": true,
	"pool_cache": true, "pool_health_check_stats": true, "pool_backend_stats": true,
}

// consoleText is the text of a statement for operators: SHOW pool_nodes and its kin,
// and SHOW howdah.…, but for the settings that the session itself knows.
func consoleText(name string) string {
	switch {
	case poolShows[name]:
		return "SHOW " + name
	case strings.HasPrefix(name, ownPrefix) && name != ownPrefix+"route" && name != ownPrefix+"stats":
		return "SHOW " + name
	}
	return ""
}

// maxConsoleBytes bounds PGPOOL statements: they name a setting and a value.
const maxConsoleBytes = 1000

// pgpoolStatement reads Pgpool-II's PGPOOL SHOW, PGPOOL SET and PGPOOL RESET, which are no SQL. They
// stand alone in their text.
func pgpoolStatement(sql string) *Verdict {
	if len(sql) > maxConsoleBytes {
		return nil
	}
	sql = strings.TrimRight(sql, "; \t\r\n")
	words := strings.Fields(sql)
	if len(words) < 2 || !strings.EqualFold(words[0], "pgpool") || strings.Contains(sql, ";") {
		return nil
	}
	switch strings.ToLower(words[1]) {
	case "show", "set", "reset":
	default:
		return nil
	}
	v := &Verdict{LiteralDependent: true, Statements: []Statement{{Kind: KindShow, Access: AccessSession,
		Reason: "PGPOOL " + strings.ToUpper(words[1]), Object: "pgpool", Console: strings.Join(words, " ")}}}
	return v.sum()
}

// Split cuts a query string into its statements' texts, without the semicolons between
// them; false if it cannot be read.
func Split(sql string) ([]string, bool) {
	if len(sql) > maxParseBytes || strings.IndexByte(sql, 0) >= 0 {
		return nil, false
	}
	tree, err := pg.Parse(sql)
	if err != nil {
		return nil, false
	}
	texts := make([]string, len(tree.Stmts))
	for i, raw := range tree.Stmts {
		texts[i] = textOf(sql, raw)
	}
	return texts, true
}
