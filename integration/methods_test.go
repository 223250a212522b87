package integration_test

import (
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/integration/pki"
)

// TestChannelBinding has libpq demand it of howdah, which itself uses it to the server.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	ca := pki.New(t, "the authority")
	for name, pair := range map[string]pki.Pair{
		"ECDSA": ca.Issue("ecdsa", pkix.Name{CommonName: "localhost"}, "localhost").ForServer(t),
		"RSA":   ca.IssueRSA("rsa", pkix.Name{CommonName: "localhost"}, "localhost").ForServer(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := pgcluster.ForTest(t, pgcluster.Options{
				Settings: map[string]string{"ssl": "on", "ssl_cert_file": pair.Cert, "ssl_key_file": pair.Key, "password_encryption": "scram-sha-256"},
				HBA:      []string{"host all postgres all trust", "hostssl all all all scram-sha-256"}})
			must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE alice LOGIN PASSWORD 'secret'"))
			settings := tlsSettings(pair)
			settings["auth.hba"] = []string{"hostssl all all all scram-sha-256"}
			settings["auth.passwd_file"] = writeFile(t, fmt.Sprintf("%q %q", "alice", stored(t, cluster, "alice")))
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: settings})
			for words, want := range map[string]string{
				"channel_binding=require": "", "channel_binding=prefer": "", "channel_binding=disable": "",
				"channel_binding=require password=wrong": "password authentication failed",
			} {
				out, err := psqlTLS(t, server, "user=alice password=secret sslmode=require "+words, "SELECT current_user")
				if want == "" && (err != nil || out != "alice") || want != "" && !strings.Contains(out, want) {
					t.Errorf("%s: %q, %v", words, out, err)
				}
			}
			// pgx as well, which makes its own.
			config, err := pgx.ParseConfig(fmt.Sprintf("host=localhost port=%d user=alice password=secret dbname=postgres sslmode=verify-full sslrootcert=%s channel_binding=require", server.Port, ca.File))
			must(t, err)
			conn, err := pgx.ConnectConfig(t.Context(), config)
			must(t, err)
			must(t, conn.Close(t.Context()))
		})
	}
}

// TestClientCertificates shows psql's certificates to rules that want them.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca, other := pki.New(t, "the authority"), pki.New(t, "another authority")
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE whole LOGIN; CREATE ROLE anyone LOGIN; CREATE ROLE twofold LOGIN; CREATE ROLE trusted LOGIN"))
	alice := ca.Issue("alice", pkix.Name{CommonName: "alice"})
	mail := ca.Issue("mail", pkix.Name{CommonName: "bob@example.org", Organization: []string{"Example"}})
	revoked := ca.Issue("revoked", pkix.Name{CommonName: "alice"})
	strange := other.Issue("strange", pkix.Name{CommonName: "alice"})
	both := ca.Issue("both", pkix.Name{CommonName: "twofold"})
	settings := tlsSettings(ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost"))
	settings["tls.client.ca"], settings["tls.client.crl"] = ca.File, ca.Revoke("revoked.crl", revoked.Leaf)
	settings["auth.hba"] = []string{
		"hostssl all alice all cert",
		"hostssl all bob all cert map=mail",
		`hostssl all whole all cert clientname=DN map=names`,
		"hostssl all anyone all trust clientcert=verify-ca",
		"hostssl all twofold all scram-sha-256 clientcert=verify-full",
		"host all all all trust",
	}
	settings["auth.ident"] = []string{`mail /^(.*)@example\.org$ \1`, `names "CN=bob@example.org,O=Example" whole`}
	settings["auth.passwd_file"] = writeFile(t, `"twofold" "secret"`)
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: settings})
	none := pki.Pair{Cert: "/nonexistent", Key: "/nonexistent"}
	for _, row := range []struct {
		user string
		pair pki.Pair
		more string
		want string // part of the error; "" is none
	}{
		{"alice", alice, "", ""},
		{"alice", none, "", "connection requires a valid client certificate"},
		{"alice", mail, "", `certificate authentication failed for user "alice"`},
		{"alice", revoked, "", "SSL"},
		{"alice", strange, "", "SSL"},
		{"bob", mail, "", ""},
		{"bob", alice, "", `certificate authentication failed for user "bob"`},
		{"whole", mail, "", ""},
		{"whole", alice, "", `certificate authentication failed for user "whole"`},
		{"anyone", mail, "", ""},
		{"anyone", none, "", "connection requires a valid client certificate"},
		{"twofold", both, "password=secret", ""},
		{"twofold", both, "password=wrong", "password authentication failed"},
		{"twofold", alice, "password=secret", "password authentication failed"},
		{"twofold", none, "password=secret", "connection requires a valid client certificate"},
		{"trusted", none, "", ""},
	} {
		words := fmt.Sprintf("user=%s sslmode=require sslcert=%s sslkey=%s %s", row.user, row.pair.Cert, row.pair.Key, row.more)
		out, err := psqlTLS(t, server, words, "SELECT current_user")
		if row.want == "" && (err != nil || out != row.user) || row.want != "" && (err == nil || !strings.Contains(out, row.want)) {
			t.Errorf("%s with %s: %q, %v, want %q", row.user, row.pair.Cert, out, err, row.want)
		}
	}
	if log := server.Log(); !strings.Contains(log, "is revoked") || !strings.Contains(log, `the client's certificate is for`) {
		t.Error("the log does not say why certificates were refused")
	}
}

// TestPeer is for programs on the same host.
func TestPeer(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE root LOGIN; CREATE ROLE other LOGIN; CREATE ROLE mapped LOGIN"))
	dir, err := os.MkdirTemp("", "howdah-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	account := strings.TrimSpace(os.Getenv("USER"))
	if os.Geteuid() == 0 {
		account = "root"
	}
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
		"listen.unix_dirs": []string{dir}, "auth.hba": []string{"local all mapped peer map=m", "local all all peer", "host all all all reject"},
		"auth.ident": []string{"m " + account + " mapped"},
	}})
	eventually(t, "the socket to be listened on", func() error {
		conn, err := net.Dial("unix", fmt.Sprintf("%s/.s.PGSQL.%d", dir, server.Port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	for user, want := range map[string]string{account: "", "mapped": "", "other": `Peer authentication failed for user "other"`} {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", dir, server.Port, user))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", user, err, want)
		}
		if err == nil {
			must(t, conn.Close(t.Context()))
		}
	}
}

// TestGroups asks the server who is a member of what.
func TestGroups(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", `CREATE ROLE staff; CREATE ROLE "odd, ""name""" IN ROLE staff;
		CREATE ROLE alice LOGIN IN ROLE staff; CREATE ROLE carol LOGIN IN ROLE "odd, ""name"""; CREATE ROLE bob LOGIN; CREATE ROLE super LOGIN SUPERUSER`))
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE DATABASE staff"))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
		"auth.hba": []string{"host postgres +staff all trust", "host samerole all all trust"}, "auth.verify_interval": "100ms"}})
	check := func(user, database string, want bool) error {
		conn, err := pgx.Connect(t.Context(), server.DSN(user, database))
		if err == nil {
			must(t, conn.Close(t.Context()))
		} else if code := sqlState(err); code != "28000" {
			return fmt.Errorf("%s: %w", user, err)
		}
		if (err == nil) != want {
			return fmt.Errorf("%s in %s: %v, want %v", user, database, err, want)
		}
		return nil
	}
	for _, row := range []struct {
		user, database string
		want           bool
	}{
		{"alice", "postgres", true}, {"carol", "postgres", true}, {"bob", "postgres", false}, {"nobody_here", "postgres", false},
		{"super", "postgres", false}, // a superuser is no member of everything here
		{"alice", "staff", true}, {"bob", "staff", false},
	} {
		if err := check(row.user, row.database, row.want); err != nil {
			t.Error(err)
		}
	}
	must(t, cluster.Exec(t.Context(), 0, "postgres", "GRANT staff TO bob"))
	eventually(t, "bob to be known as a member", func() error { return check("bob", "postgres", true) })
}

// TestLDAP asks OpenLDAP, in all ways that pg_hba.conf has.
func TestLDAP(t *testing.T) {
	t.Parallel()
	ca := pki.New(t, "the authority")
	l := startLDAP(t, ca.Issue("ldap", pkix.Name{CommonName: "127.0.0.1"}, "127.0.0.1"))
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", `CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE twins LOGIN; CREATE ROLE "alice@example.org" LOGIN; CREATE ROLE "a*" LOGIN`))
	for _, row := range []struct {
		name, options  string
		user, password string
		want           bool
	}{
		{"simple bind", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapprefix="uid=" ldapsuffix=",dc=example,dc=org"`, l.port), "alice", "alice's secret", true},
		{"simple bind, wrong", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapprefix="uid=" ldapsuffix=",dc=example,dc=org"`, l.port), "alice", "wrong", false},
		{"empty password", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapprefix="uid=" ldapsuffix=",dc=example,dc=org"`, l.port), "alice", "", false},
		{"search", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org"`, l.port), "bob", "bob's secret", true},
		{"search, wrong", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org"`, l.port), "bob", "alice's secret", false},
		{"search as somebody", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org" ldapbinddn="cn=admin,dc=example,dc=org" ldapbindpasswd="admin's" ldapsearchattribute=mail`, l.port), "alice@example.org", "alice's secret", true},
		{"search as somebody, wrong", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org" ldapbinddn="cn=admin,dc=example,dc=org" ldapbindpasswd="wrong"`, l.port), "alice", "alice's secret", false},
		{"two found", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org" ldapsearchattribute=mail`, l.port), "twins", "bob's secret", false},
		{"filter", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org" ldapsearchfilter="(|(uid=$username)(mail=$username))"`, l.port), "alice@example.org", "alice's secret", true},
		{"injection", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapbasedn="dc=example,dc=org"`, l.port), "a*", "alice's secret", false},
		{"url", fmt.Sprintf(`ldapurl="ldap://127.0.0.1:%d/dc=example,dc=org?uid?sub"`, l.port), "alice", "alice's secret", true},
		{"url, no deep", fmt.Sprintf(`ldapurl="ldap://127.0.0.1:%d/dc=example,dc=org?uid?base"`, l.port), "alice", "alice's secret", false},
		{"StartTLS", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldaptls=1 ldapbasedn="dc=example,dc=org"`, l.port), "alice", "alice's secret", true},
		{"ldaps", fmt.Sprintf(`ldapserver=127.0.0.1 ldapport=%d ldapscheme=ldaps ldapbasedn="dc=example,dc=org"`, l.securePort), "alice", "alice's secret", true},
		{"ldaps of another", fmt.Sprintf(`ldapserver=localhost ldapport=%d ldapscheme=ldaps ldapbasedn="dc=example,dc=org"`, l.securePort), "alice", "alice's secret", false},
		{"nobody there", `ldapserver=127.0.0.1 ldapport=1 ldapbasedn="dc=example,dc=org"`, "alice", "alice's secret", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
				"auth.hba": []string{"host all all 127.0.0.1/32 ldap " + row.options}, "auth.ldap_ca": ca.File}})
			config, err := pgx.ParseConfig(server.DSN("postgres", "postgres"))
			must(t, err)
			config.User, config.Password = row.user, row.password
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if (err == nil) != row.want {
				t.Errorf("got %v, want %v", err, row.want)
			}
			if err == nil {
				must(t, conn.Close(t.Context()))
			} else if code := sqlState(err); !strings.HasPrefix(code, "28") {
				t.Errorf("refused with %q (%v)", code, err)
			}
			if log := server.Log(); strings.Contains(log, "'s secret") || strings.Contains(log, "admin's") {
				t.Error("the log has a password")
			}
		})
	}
}
