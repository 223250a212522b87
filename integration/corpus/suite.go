package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// skipped are scripts that do nothing for us or stop the rest: they need files,
// other servers, or change the roles and databases that the trials log in to.
var skipped = regexp.MustCompile(`^(regress/(tablespace|infinite_recurse|vacuum_parallel|write_parallel)|postgres_fdw/.*)$`)

// suiteScripts lists PostgreSQL's own tests below dir, its unpacked source.
func suiteScripts(dir string) ([]script, []string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("resolve %s: %w", dir, err)
	}
	regress := filepath.Join(dir, "src", "test", "regress")
	names, err := scheduled(filepath.Join(regress, "parallel_schedule"))
	if err != nil {
		return nil, nil, err
	}
	var all []script
	for _, name := range names {
		all = append(all, script{name: "regress/" + name, path: filepath.Join(regress, "sql", name+".sql"), dir: regress, database: "regression"})
	}
	for _, pattern := range []string{"contrib/*/sql/*.sql", "src/pl/plpgsql/src/sql/*.sql"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, nil, fmt.Errorf("list %s: %w", pattern, err)
		}
		sort.Strings(files)
		for _, file := range files {
			home := filepath.Dir(filepath.Dir(file))
			module := filepath.Base(home)
			if module == "src" {
				module = "plpgsql"
			}
			all = append(all, script{
				name: module + "/" + strings.TrimSuffix(filepath.Base(file), ".sql"),
				path: file, dir: home, database: "contrib_" + strings.ReplaceAll(module, "-", "_"),
			})
		}
	}
	scripts := all[:0]
	for _, s := range all {
		if _, err := os.Stat(s.path); err == nil && !skipped.MatchString(s.name) {
			scripts = append(scripts, s)
		}
	}
	// As pg_regress sets them.
	env := []string{
		"PGTZ=PST8PDT", "PGDATESTYLE=Postgres, MDY", "PGOPTIONS=-c intervalstyle=postgres_verbose " + sessionOptions,
		"PG_ABS_SRCDIR=" + regress, "PG_ABS_BUILDDIR=" + regress, "PG_LIBDIR=" + regress, "PG_DLSUFFIX=.so",
	}
	return scripts, env, nil
}

// scheduled reads the names of a pg_regress schedule, in order.
func scheduled(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read schedule: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if tests, ok := strings.CutPrefix(line, "test:"); ok {
			names = append(names, strings.Fields(tests)...)
		}
	}
	return names, nil
}
