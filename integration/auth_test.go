package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// The servers' users: one of each kind of stored secret.
const authUsers = `
	SET password_encryption = 'scram-sha-256';
	CREATE ROLE alice LOGIN PASSWORD 'alice''s "secret"';
	CREATE ROLE watcher LOGIN PASSWORD 'watches' IN ROLE pg_monitor;
	CREATE ROLE expired LOGIN PASSWORD 'old' VALID UNTIL '2001-01-01';
	CREATE ROLE unable NOLOGIN PASSWORD 'unable';
	ALTER ROLE postgres PASSWORD 'super';
	SET password_encryption = 'md5';
	CREATE ROLE bob LOGIN PASSWORD 'bob''s secret';
	RESET password_encryption;
	CREATE TABLE pets (id int);
	GRANT ALL ON pets TO alice, bob;
	INSERT INTO pets VALUES (1);
	CREATE FUNCTION user_secret(name) RETURNS TABLE (usename name, passwd text) LANGUAGE sql STABLE SECURITY DEFINER
		AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin';`

const (
	alice = `alice's "secret"`
	bob   = "bob's secret"
)

// authCluster is a cluster that asks everyone for a password.
func authCluster(t *testing.T) *pgcluster.Cluster {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1, HBA: []string{
		"host all bob 127.0.0.1/32 md5",
		"host all all 127.0.0.1/32 scram-sha-256",
	}})
	must(t, cluster.Exec(t.Context(), 0, "postgres", authUsers))
	must(t, cluster.WaitReplay(t.Context(), 0))
	return cluster
}

// stored is a user's secret as the server keeps it.
func stored(t *testing.T, cluster *pgcluster.Cluster, user string) string {
	t.Helper()
	secret, err := cluster.Value(t.Context(), 0, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = '"+user+"'")
	must(t, err)
	return secret
}

func writeFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// TestLogins tries every way in which howdah may know a user, with the right
// password, a wrong one, and a user nobody knows; and then works on both nodes,
// which needs logins to the servers.
func TestLogins(t *testing.T) {
	t.Parallel()
	cluster := authCluster(t)
	hba := []string{"host all bob 127.0.0.1/32 md5", "host all all 127.0.0.1/32 scram-sha-256"}
	ways := []struct {
		name     string
		settings map[string]any
		users    map[string]string // user: password
	}{
		{"userlist with passwords",
			map[string]any{"auth.passwd_file": writeFile(t, `"alice" "alice's ""secret"""`, `"bob" "bob's secret"`)},
			map[string]string{"alice": alice, "bob": bob}},
		{"userlist as the server keeps it", // the key for the server comes from the client's login
			map[string]any{"auth.passwd_file": writeFile(t, fmt.Sprintf("%q %q", "alice", stored(t, cluster, "alice")), fmt.Sprintf("%q %q", "bob", stored(t, cluster, "bob")))},
			map[string]string{"alice": alice, "bob": bob}},
		{"pool_passwd",
			map[string]any{"auth.passwd_file": writeFile(t, `alice:TEXT`+alice, "bob:"+stored(t, cluster, "bob"))},
			map[string]string{"alice": alice, "bob": bob}},
		{"auth query by a superuser",
			map[string]any{"auth.query.user": "postgres", "auth.query.password": "super"},
			map[string]string{"alice": alice, "bob": bob}},
		{"auth query by a function",
			map[string]any{"auth.query.user": "watcher", "auth.query.password": "watches", "auth.query.sql": "SELECT * FROM public.user_secret($1)"},
			map[string]string{"alice": alice, "bob": bob}},
		{"plain scram in an md5 rule",
			map[string]any{"auth.hba": []string{"host all all 127.0.0.1/32 md5"}, "auth.query.user": "postgres", "auth.query.password": "super"},
			map[string]string{"alice": alice, "bob": bob}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			settings := map[string]any{"auth.hba": hba, "replication_check.user": "watcher", "replication_check.password": "watches"}
			for key, value := range way.settings {
				settings[key] = value
			}
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}, Settings: settings})
			for user, password := range way.users {
				for range 2 { // with connections of the pool the second time
					wantLogin(t, server, user, password)
				}
				wantRefusal(t, server, user, password+"x", "28P01")
				wantRefusal(t, server, user, "", "28P01")
			}
			wantRefusal(t, server, "nobody_here", "x", "28P01")
			wantRefusal(t, server, "expired", "old", "28P01") // VALID UNTIL is past
			wantSecretsKept(t, server)
		})
	}
}

// wantLogin logs in by libpq and by pgx, reads on the standby, writes on the primary.
func wantLogin(t *testing.T, server *howdahtest.Server, user, password string) {
	t.Helper()
	ctx := t.Context()
	config, err := pgx.ParseConfig(server.DSN(user, "postgres"))
	must(t, err)
	config.Password = password
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Errorf("%s cannot log in: %v", user, err)
		return
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	var name string
	var count int
	if err := conn.QueryRow(ctx, "SELECT current_user, count(*) FROM pets").Scan(&name, &count); err != nil || name != user {
		t.Errorf("%s reads as %q: %v", user, name, err)
	}
	if _, err := conn.Exec(ctx, "INSERT INTO pets VALUES (2)"); err != nil {
		t.Errorf("%s cannot write: %v", user, err)
	}
	f := &fixture{port: server.Port, cluster: &pgcluster.Cluster{}}
	cmd := f.command(ctx, "/usr/bin/psql", "-X", "-Atc", "SELECT current_user", "-U", user, "-w")
	cmd.Env = append(cmd.Env, "PGPASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != user+"\n" {
		t.Errorf("%s by psql: %v, %q", user, err, out)
	}
}

func wantRefusal(t *testing.T, server *howdahtest.Server, user, password, want string) {
	t.Helper()
	config, err := pgx.ParseConfig(server.DSN(user, "postgres"))
	must(t, err)
	config.Password = password
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		conn.Close(t.Context()) //nolint:errcheck // it should not be there
		t.Errorf("%s gets in with the password %q", user, password)
		return
	}
	if code := sqlState(err); code != want {
		t.Errorf("%s with the password %q is refused with %q (%v), want %s", user, password, code, err, want)
	}
}

// wantSecretsKept fails if the log has a password or what the servers keep of one.
func wantSecretsKept(t *testing.T, server *howdahtest.Server) {
	t.Helper()
	log := server.Log()
	for _, secret := range []string{"alice's", "bob's", "watches", "SCRAM-SHA-256$", "md5"} {
		if at := strings.Index(log, secret); at >= 0 && secret != "md5" {
			t.Errorf("the log has the secret %q: %s", secret, log[max(0, at-100):min(len(log), at+100)])
		}
	}
}

// TestHBA has a rule for everyone but one.
func TestHBA(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN"))
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE DATABASE other"))
	file := filepath.Join(t.TempDir(), "pg_hba.conf")
	must(t, os.WriteFile(file, []byte(`
# TYPE  DATABASE  USER  ADDRESS       METHOD
host    other     bob   127.0.0.1/32  reject
host    other     all   127.0.0.1/32  trust
host    postgres  bob   127.0.0.1 255.255.255.255 trust
host    all       postgres samehost trust
`), 0o600))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"auth.hba_file": file}})
	for _, row := range []struct{ user, database, want string }{
		{"bob", "postgres", ""}, {"bob", "other", "28000"}, {"alice", "other", ""}, {"alice", "postgres", "28000"},
		{"postgres", "postgres", ""}, {"nobody_here", "other", "28000"},
	} {
		conn, err := pgx.Connect(t.Context(), server.DSN(row.user, row.database))
		if code := sqlState(err); code != row.want || (err != nil) != (row.want != "") {
			t.Errorf("%s in %s: %v, want %q", row.user, row.database, err, row.want)
		}
		if err == nil {
			must(t, conn.Close(t.Context()))
		}
	}
}

// TestRefusedByTheServer has users whom howdah's rules trust and the servers do not.
func TestRefusedByTheServer(t *testing.T) {
	t.Parallel()
	cluster := authCluster(t)
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
		"auth.passwd_file":           writeFile(t, `"alice" "not her password"`, `"expired" "old"`, `"unable" "unable"`),
		"replication_check.user":     "watcher",
		"replication_check.password": "watches",
	}})
	for user, want := range map[string]string{"alice": "28P01", "expired": "28P01", "unable": "28000", "nobody_here": "28P01"} {
		_, err := pgx.Connect(t.Context(), server.DSN(user, "postgres"))
		if code := sqlState(err); !strings.HasPrefix(code, "28") {
			t.Errorf("%s is refused with %q (%v), want %s or its kin", user, code, err, want)
		}
	}
}
