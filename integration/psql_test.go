package integration_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// psql runs psql and returns its standard output, standard error and exit code.
func (f *fixture) psql(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := f.command(t.Context(), "psql", append([]string{"-X"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestPsqlScripts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `CREATE TABLE pets (id int PRIMARY KEY, name text NOT NULL);
		INSERT INTO pets VALUES (1, 'cat'), (2, 'dog')`)
	rows := []struct {
		name   string
		args   []string
		input  string
		stdout string // must be this
		stderr string // must contain this
		code   int
	}{
		{"one statement", []string{"-Atc", "SELECT name FROM pets ORDER BY id"}, "", "cat\ndog\n", "", 0},
		{"several statements in one string", []string{"-Atc", "SELECT 1; SELECT 2"}, "", "1\n2\n", "", 0},
		{"several -c", []string{"-At", "-c", "SELECT 1", "-c", "SELECT 2"}, "", "1\n2\n", "", 0},
		{"several in a transaction", []string{"-qAt", "-1", "-c", "INSERT INTO pets VALUES (3, 'cow')", "-c", "SELECT count(*) FROM pets"}, "", "3\n", "", 0},
		{"input", []string{"-qAt"}, "BEGIN;\nDELETE FROM pets WHERE id = 3;\nCOMMIT;\nSELECT count(*) FROM pets;\n", "2\n", "", 0},
		{"an error goes on", []string{"-At"}, "SELECT 1/0;\nSELECT 'on';\n", "on\n", "ERROR:  division by zero", 0},
		{"an error stops", []string{"-At", "-v", "ON_ERROR_STOP=1"}, "SELECT 1/0;\nSELECT 'on';\n", "", "ERROR:  division by zero", 3},
		{"an error of -c", []string{"-Atc", "SELECT nothing FROM pets"}, "", "", "ERROR:  column \"nothing\" does not exist\nLINE 1: SELECT nothing FROM pets\n               ^\n", 1},
		{"a verbose error", []string{"-At", "-v", "VERBOSITY=verbose", "-c", "INSERT INTO pets VALUES (1, 'again')"}, "", "", "ERROR:  23505: duplicate key value violates unique constraint \"pets_pkey\"\nDETAIL:  Key (id)=(1) already exists.\nSCHEMA NAME:  public\nTABLE NAME:  pets\nCONSTRAINT NAME:  pets_pkey\nLOCATION:", 1},
		{"a notice", []string{"-qAtc", "DROP TABLE IF EXISTS nowhere"}, "", "", "NOTICE:  table \"nowhere\" does not exist, skipping", 0},
		{"copy out", []string{"-c", `\copy pets to stdout csv header`}, "", "id,name\n1,cat\n2,dog\n", "", 0},
		{"copy in", []string{"-qAt", "-c", `\copy pets from stdin`, "-c", "SELECT name FROM pets WHERE id = 10"}, "10\tten\n", "ten\n", "", 0},
		{"a bad copy", []string{"-c", `\copy pets from stdin`}, "x\ty\n", "", "ERROR:  invalid input syntax for type integer: \"x\"\nCONTEXT:  COPY pets, line 1, column id: \"x\"", 1},
		{"listen and notify", []string{"-qAt"}, "LISTEN here;\nNOTIFY here, 'payload';\nSELECT 1;\n", "", "", 0},
		{"variables", []string{"-qAt"}, "SELECT count(*) AS n FROM pets \\gset\n\\echo :n\n\\if :ERROR\nfailed\n\\endif\n", "3\n", "", 0},
		{"describe a query", []string{"-At"}, "SELECT id, name FROM pets \\gdesc\n", "id|integer\nname|text\n", "", 0},
		{"bind-less fetch count", []string{"-At", "-v", "FETCH_COUNT=1"}, "SELECT name FROM pets WHERE id < 3 ORDER BY id;\n", "cat\ndog\n", "", 0},
		{"connect again", []string{"-qAt"}, "SET application_name = 'changed';\n\\c\nSHOW application_name;\n", "psql\n", "", 0},
		{"unknown database", []string{"-d", "nowhere"}, "", "", `FATAL:  database "nowhere" does not exist`, 2},
		{"unknown user", []string{"-U", "nobody_here"}, "", "", `FATAL:  role "nobody_here" does not exist`, 2},
	}
	for _, row := range rows { // in order: some read what others wrote
		stdout, stderr, code := f.psql(t, row.input, row.args...)
		if row.name == "listen and notify" {
			if !strings.Contains(stdout, `Asynchronous notification "here" with payload "payload" received`) {
				t.Errorf("%s: printed %q", row.name, stdout)
			}
		} else if row.name == "connect again" {
			if !strings.HasSuffix(stdout, row.stdout) {
				t.Errorf("%s: printed %q, want %q at the end", row.name, stdout, row.stdout)
			}
		} else if stdout != row.stdout {
			t.Errorf("%s: printed %q, want %q", row.name, stdout, row.stdout)
		}
		if row.stderr == "" && stderr != "" || !strings.Contains(stderr, row.stderr) {
			t.Errorf("%s: errors are %q, want %q", row.name, stderr, row.stderr)
		}
		if code != row.code {
			t.Errorf("%s: exit code %d, want %d", row.name, code, row.code)
		}
		must(t, f.cluster.WaitReplay(t.Context(), 0)) // for the next session, which may read it anywhere
	}
	f.wantReadsOnStandbys(t, "pets", 3)
}

// TestPsqlDescribes compares the backslash commands, which read the catalogs in
// every way there is, with what they print when connected to the primary.
func TestPsqlDescribes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `CREATE TABLE pets (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'cat', CHECK (name <> ''));
		CREATE VIEW cats AS SELECT * FROM pets WHERE name = 'cat';
		CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	commands := []string{`\d`, `\d+ pets`, `\d cats`, `\dt+`, `\di`, `\dv`, `\df+ f`, `\dn`, `\du`, `\l`, `\dT`, `\dx`, `\dp`, `\ds`, `\sf f`, `\sv cats`,
		`\conninfo_is_not_compared`, `\dconfig work_mem`, `\db`, `\dD`, `\dE`, `\dm`, `\dC`, `\z pets`}
	for _, command := range commands {
		through, throughErrors, _ := f.psql(t, command+"\n", "-E")
		direct := &fixture{cluster: f.cluster, port: f.cluster.Port(0)}
		want, wantErrors, _ := direct.psql(t, command+"\n", "-E")
		if through != want || throughErrors != wantErrors {
			t.Errorf("%s prints\n%s%s\nwant\n%s%s", command, through, throughErrors, want, wantErrors)
		}
	}
}

func TestPsqlCopiesFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE numbers (n int, square bigint, note text)")
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
	_, stderr, code := f.psql(t, "", "-c", `\copy (SELECT i, i::bigint * i, repeat('x', i % 100) FROM generate_series(1, 100000) i) TO '`+in+`' CSV`)
	if code != 0 {
		t.Fatal(stderr)
	}
	_, stderr, code = f.psql(t, "", "-c", `\copy numbers FROM '`+in+`' CSV`, "-c", `\copy (SELECT * FROM numbers ORDER BY n) TO '`+out+`' CSV`)
	if code != 0 {
		t.Fatal(stderr)
	}
	want, err := os.ReadFile(in)
	must(t, err)
	got, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(got, want) || bytes.Count(got, []byte("\n")) != 100000 {
		t.Errorf("copied in and out again, %d bytes became %d", len(want), len(got))
	}
}

// TestPsqlCancels presses Ctrl-C in psql while a statement runs, on either kind of
// node, and goes on in the same session.
func TestPsqlCancels(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE pets (id int)")
	for name, statement := range map[string]string{
		"on the primary": "INSERT INTO pets SELECT 1 FROM pg_sleep(60) /* slow */;",
		"anywhere":       "SELECT count(*) FROM pets, generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100) c /* slow */;",
	} {
		cmd := f.command(t.Context(), "psql", "-X", "-At")
		if name == "anywhere" {
			f.exec(t, "INSERT INTO pets VALUES (1)")
		}
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(statement+"\nSELECT 'afterwards';\n"), &out, &errs
		must(t, cmd.Start())
		eventually(t, "the statement to run", func() error {
			for i := range f.cluster.Nodes() {
				const active = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%/* slow */%' AND state = 'active' AND pid <> pg_backend_pid())`
				if f.value(t, i, active) == "true" {
					return nil
				}
			}
			return errors.New("no node runs it")
		})
		must(t, cmd.Process.Signal(syscall.SIGINT))
		_ = cmd.Wait() // its exit code is of the last statement
		if !strings.Contains(errs.String(), "ERROR:  canceling statement due to user request") {
			t.Errorf("%s: cancelled, psql printed the errors %q", name, errs.String())
		}
	}
	if got := f.value(t, 0, "SELECT count(*) FROM pets"); got != "1" {
		t.Errorf("the cancelled INSERT left %s rows, want the 1 from before", got)
	}
}
