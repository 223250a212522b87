package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// announced is a fixture whose howdah tells by notices where statements run.
func announced(t *testing.T, settings map[string]any) *fixture {
	t.Helper()
	f := &fixture{cluster: pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})}
	all := map[string]any{"log.notice_per_node_statement": true, "routing.consistency": "none"}
	for key, value := range settings {
		all[key] = value
	}
	f.server = howdahtest.Start(t, howdahtest.Options{Cluster: f.cluster, Weights: []float64{0, 1, 1}, Settings: all})
	f.port = f.server.Port
	c := f.told(t, pgx.QueryExecModeSimpleProtocol)
	for node := 1; node <= 2; node++ {
		eventually(t, fmt.Sprintf("node %d to be up", node), func() error {
			c.ran(t, fmt.Sprintf("/* howdah: route=node:node%d */ SELECT 1", node))
			if !strings.Contains(strings.Join(c.notices, " "), fmt.Sprintf("node id: %d ", node)) {
				return fmt.Errorf("notices are %q", c.notices)
			}
			return nil
		})
	}
	return f
}

// told is a connection and the notices that came on it.
type told struct {
	*pgx.Conn
	notices []string
}

func (f *fixture) told(t *testing.T, mode pgx.QueryExecMode, words ...string) *told {
	t.Helper()
	var c told
	config, err := pgx.ParseConfig(f.dsn(words...))
	must(t, err)
	config.DefaultQueryExecMode = mode
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notices = append(c.notices, n.Message) }
	c.Conn, err = pgx.ConnectConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(func() { c.Close(t.Context()) })
	return &c
}

// ran runs sql and says where it ran last: "primary", "standby", "howdah" if on no
// server, or an SQLSTATE.
func (c *told) ran(t *testing.T, sql string) string {
	t.Helper()
	c.notices = nil
	_, err := c.Exec(t.Context(), sql)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	must(t, err)
	where := "howdah"
	for _, n := range c.notices {
		var node, pid int
		if _, err := fmt.Sscanf(n, "DB node id: %d backend pid: %d statement:", &node, &pid); err != nil {
			continue
		}
		switch {
		case pid == 0:
			t.Errorf("no backend pid in %q", n)
		case node == 0:
			where = "primary"
		default:
			where = "standby"
		}
	}
	return where
}

// steps runs statements in order and checks where each ran.
func (c *told) steps(t *testing.T, steps [][2]string) {
	t.Helper()
	for _, s := range steps {
		if got := c.ran(t, s[0]); got != s[1] {
			t.Errorf("%s: ran on %s, want %s", s[0], got, s[1])
		}
	}
}

func TestRoutingHints(t *testing.T) {
	t.Parallel()
	f := announced(t, nil)
	f.exec(t, `CREATE TABLE pets (id int); CREATE SEQUENCE ids;
		CREATE FUNCTION harmless() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN EXECUTE format(''SELECT 1''); RETURN 1; END';
		CREATE FUNCTION writes() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$BEGIN EXECUTE format('SELECT nextval(''ids'')'); RETURN 1; END$$`)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		t.Run(mode.String(), func(t *testing.T) {
			c := f.told(t, mode)
			read := "SELECT count(*) FROM pets"
			c.steps(t, [][2]string{
				{read, "standby"},
				{"/* howdah: route=primary */ " + read, "primary"},
				{"/*NO LOAD BALANCE*/ " + read, "primary"},
				{"/* anything */ " + read, "standby"},
				{"/* howdah: route=node:node1 */ " + read, "standby"},
				{"/* howdah: route=node:node0 */ " + read, "primary"},
				{"/* howdah: route=read */ INSERT INTO pets VALUES (1)", "primary"},
				{"SELECT harmless()", "primary"},
				{"/* howdah: route=read */ SELECT harmless()", "standby"},

				{"SET howdah.route = 'primary'", "howdah"},
				{read, "primary"},
				{"/* howdah: route=read */ " + read, "standby"},
				{"SET howdah.route = 'elsewhere'", "22023"},
				{"SET howdah.route = 'node:node9'", "22023"},
				{read, "primary"},
				{"RESET howdah.route", "howdah"},
				{read, "standby"},

				{"BEGIN", "howdah"},
				{"SET LOCAL howdah.route = 'primary'", "howdah"},
				{"/* howdah: route=read */ " + read, "primary"},
				{"COMMIT", "primary"},
				{read, "standby"},

				{"BEGIN", "howdah"},
				{"SET howdah.route = 'primary'", "howdah"},
				{"SAVEPOINT a", "primary"},
				{"SET howdah.route = 'read'", "howdah"},
				{"ROLLBACK TO a", "primary"},
				{"COMMIT", "primary"},
				{read, "primary"},
				{"BEGIN", "howdah"},
				{"SET howdah.route = 'read'", "howdah"},
				{"ROLLBACK", "howdah"},
				{read, "primary"},
				{"BEGIN", "howdah"},
				{"SET howdah.route = 'read'", "howdah"},
				{"COMMIT", "howdah"},
				{read, "standby"},
				{"SELECT set_config('howdah.route', 'auto', false)", "howdah"},
				{read, "standby"},
			})
			var shown string
			must(t, c.QueryRow(t.Context(), "SHOW howdah.route").Scan(&shown))
			if shown != "auto" {
				t.Errorf("SHOW howdah.route: %q", shown)
			}
		})
	}

	t.Run("a writer that was vouched for", func(t *testing.T) {
		c := f.told(t, pgx.QueryExecModeSimpleProtocol)
		const sql = "/* howdah: route=read */ SELECT writes() + "
		if got := c.ran(t, sql+"1"); got != "primary" || len(c.notices) != 2 {
			t.Errorf("ran on %s: %q", got, c.notices)
		}
		c.ran(t, "SELECT 1") // by its answer the lesson is kept
		other := f.told(t, pgx.QueryExecModeSimpleProtocol)
		if got := other.ran(t, sql+"2"); got != "primary" || len(other.notices) != 1 {
			t.Errorf("the second time: ran on %s: %q", got, other.notices)
		}
		if got := f.value(t, 0, "SELECT last_value FROM ids"); got != "2" {
			t.Errorf("it ran %s times, want 2", got)
		}
	})
	t.Run("startup", func(t *testing.T) {
		c := f.told(t, pgx.QueryExecModeSimpleProtocol, "options='-c howdah.route=primary'")
		c.steps(t, [][2]string{{"SELECT count(*) FROM pets", "primary"}, {"SET howdah.route = auto", "howdah"},
			{"SELECT count(*) FROM pets", "standby"}, {"RESET ALL", "primary"}, {"SELECT count(*) FROM pets", "primary"}})
	})
	t.Run("role", func(t *testing.T) {
		f.exec(t, "CREATE ROLE careful LOGIN SUPERUSER; ALTER ROLE careful SET howdah.route = 'primary'")
		c := f.told(t, pgx.QueryExecModeSimpleProtocol, "user=careful")
		c.steps(t, [][2]string{{"SELECT count(*) FROM pets", "primary"}})
	})
	if got := f.value(t, 0, "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE '%set%howdah.route%' AND pid <> pg_backend_pid()"); got != "0" {
		t.Error("a server got a statement of howdah's own")
	}
}

func TestRoutingRedirect(t *testing.T) {
	t.Parallel()
	f := announced(t, map[string]any{"routing.redirect": []map[string]any{
		{"match": "app", "pattern": "live.*", "node": "primary"},
		{"match": "database", "pattern": "postgres", "node": "node2", "ratio": 1},
	}})
	f.exec(t, "CREATE TABLE pets (id int)")
	const read = "SELECT count(*) FROM pets"
	for range 5 {
		c := f.told(t, pgx.QueryExecModeSimpleProtocol)
		if c.steps(t, [][2]string{{read, "standby"}}); !strings.Contains(strings.Join(c.notices, " "), "node id: 2 ") {
			t.Errorf("redirected by database: %q", c.notices)
		}
	}
	live := f.told(t, pgx.QueryExecModeSimpleProtocol, "application_name=Live1")
	live.steps(t, [][2]string{{read, "primary"}, {"SET application_name = 'other'", "primary"}, {read, "standby"},
		{"SET application_name = 'live2'", "primary"}, {read, "primary"}, {"/* howdah: route=read */ " + read, "standby"}})
}

func TestRoutingCommentsAsPgpool(t *testing.T) {
	t.Parallel()
	f := announced(t, map[string]any{"routing.comments": "primary"})
	f.exec(t, "CREATE TABLE pets (id int)")
	f.told(t, pgx.QueryExecModeSimpleProtocol).steps(t, [][2]string{
		{"SELECT count(*) FROM pets", "standby"}, {"/* anything */ SELECT count(*) FROM pets", "primary"},
		{"SELECT /* inside */ count(*) FROM pets", "standby"},
		{"/* howdah: route=read */ SELECT count(*) FROM pets", "standby"},
	})
}

// TestExplainHowdah asks through psql and through the extended protocol.
func TestExplainHowdah(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE pets (id int)")
	script := `EXPLAIN (HOWDAH) SELECT count(*) FROM pets;
		BEGIN; INSERT INTO pets VALUES (1);
		EXPLAIN (HOWDAH) SELECT count(*) FROM pets;
		ROLLBACK;
		EXPLAIN (HOWDAH) DELETE FROM pets;`
	stdout, stderr, code := f.psql(t, script, "-At")
	for _, want := range []string{"Route: read\n", "Rule: drawn\n", "Relation pets", "Function count", "Rule: standing decision\n",
		"Session transaction: open (on node0, bound to the primary)\n", "Route: primary\nNode: node0\n", "DELETE"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
	if stderr != "" || code != 0 {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if got := f.value(t, 0, "SELECT count(*) FROM pets"); got != "0" {
		t.Error("EXPLAIN (HOWDAH) ran its statement")
	}
	conn := f.pgx(t, nil)
	rows, err := conn.Query(t.Context(), "EXPLAIN (HOWDAH, FORMAT JSON) SELECT * FROM pets WHERE id = $1", 5)
	must(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	var report struct{ Route, Rule, Node string }
	must(t, json.Unmarshal([]byte(strings.Join(lines, "\n")), &report))
	if report.Route != "read" || !strings.HasPrefix(report.Node, "node") || report.Node == "node0" {
		t.Errorf("got %+v", report)
	}
	stats, _, _ := f.psql(t, "", "-Atc", "SHOW howdah.stats")
	if !strings.Contains(stats, "parser_misses|") || !strings.Contains(stats, "healed_read_only|0\n") {
		t.Errorf("SHOW howdah.stats prints\n%s", stats)
	}
}

// TestExplainCommand runs `howdah explain` on the running howdah's file.
func TestExplainCommand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	explain := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), howdahtest.Bin(t), append([]string{"explain"}, args...)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader(input), os.Stderr
		out, err := cmd.Output()
		must(t, err)
		return string(out)
	}
	config := f.server.ConfigFile()
	if got := explain("", "-c", config, "SELECT 1"); !strings.Contains(got, "Route: read\n") || !strings.Contains(got, "Node: node") {
		t.Errorf("with -c:\n%s", got)
	}
	if got := explain("", "-c", config, "INSERT INTO pets VALUES (1)"); !strings.Contains(got, "Route: primary\nNode: node0\n") {
		t.Errorf("with -c:\n%s", got)
	}
	lines := strings.Split(strings.TrimSpace(explain("{\"sql\": \"SELECT 1\"}\n{\"sql\": \"DELETE FROM pets\"}\n", "--jsonl", "-c", config)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"route":"read"`) || !strings.HasPrefix(lines[1], `{"route":"primary"`) {
		t.Errorf("lines: %q", lines)
	}
}
