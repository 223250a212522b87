package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
)

// learnNamesTimeout bounds the reading of a database's catalogs.
const learnNamesTimeout = 30 * time.Second

// learnNames makes the explainer resolve names as a session of the user in the database would.
// If the catalogs cannot be read, notes say so, and names are what the text makes of them.
func (e *explainer) learnNames(ctx context.Context, c *configs.Config, o *explainOptions) error {
	database := cmp.Or(o.database, o.user, c.ReplicationCheck.Database)
	if c.Catalog.Size == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, learnNamesTimeout)
	defer cancel()
	k, path, err := e.readNames(ctx, c, database, o.user)
	if err != nil {
		e.notes = append(e.notes, fmt.Sprintf("the catalogs of database %s could not be read, so names are known by the text alone: %v", database, err))
		return nil
	}
	schemas, known := parser.ParseSearchPath(path, cmp.Or(o.user, c.ReplicationCheck.User))
	e.env = parser.NewEnv(parser.Env{Rules: e.rules, Knowledge: k, SearchPath: schemas, AnyPath: !known})
	e.notes = append(e.notes, fmt.Sprintf("names as in database %s with search_path %s", database, path))
	return nil
}

// readNames asks a server that is up, the primary if there is one.
func (e *explainer) readNames(ctx context.Context, c *configs.Config, database, user string) (*parser.Knowledge, string, error) {
	n := e.view.Node(e.view.Primary)
	for i := range e.view.Nodes {
		if n == nil && e.view.Nodes[i].State == cluster.StateUp {
			n = &e.view.Nodes[i]
		}
	}
	maxBytes := int64(c.Catalog.Size)
	asker, err := cluster.NewAsker(ctx, n, c.ReplicationCheck, database, maxBytes)
	if err != nil {
		return nil, "", err
	}
	defer asker.Close()
	path, err := searchPathOf(ctx, asker, user)
	if err != nil {
		return nil, "", err
	}
	k, err := parser.LoadKnowledge(ctx, asker, maxBytes, parser.KnowledgeOptions{Rules: e.rules, ReadForeign: c.Catalog.ForeignTables == "read"})
	return k, path, err
}

// searchPathOf is the search_path with which sessions of the user begin in the
// asker's database: the role's own there, the role's, the database's, or PostgreSQL's
// default. The server's file is not looked at: only a superuser may.
func searchPathOf(ctx context.Context, asker *cluster.Asker, user string) (string, error) {
	rows, err := asker.Query(ctx, `SELECT coalesce(r.rolname, ''), split_part(c.setting, '=', 1), substr(c.setting, 13)
		FROM pg_catalog.pg_db_role_setting s
		LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
		CROSS JOIN LATERAL unnest(s.setconfig) c(setting)
		WHERE (s.setrole = 0 OR r.oid IS NOT NULL) AND c.setting LIKE 'search_path=%'
		AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
		ORDER BY (s.setrole <> 0) DESC, (s.setdatabase <> 0) DESC`)
	if err != nil {
		return "", fmt.Errorf("ask for search_path: %w", err)
	}
	for _, row := range rows {
		if row[0] == "" || user != "" && row[0] == user {
			return row[2], nil
		}
	}
	rows, err = asker.Query(ctx, "SELECT boot_val FROM pg_catalog.pg_settings WHERE name = 'search_path'")
	if err != nil {
		return "", fmt.Errorf("ask for search_path: %w", err)
	}
	return rows[0][0], nil
}
