package auth_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/auth"
)

// cluster is a real PostgreSQL server on a Unix socket in dir.
type cluster struct{ dir string }

// startCluster makes a server with one pg_hba record per login method, chosen by
// the database. It needs PostgreSQL's programs and, under root, the OS user postgres.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var err error
	if c.dir, err = os.MkdirTemp("/tmp", "howdah-auth-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(c.dir) })
	if err := os.Chmod(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if uid, gid := serverUser(t); uid >= 0 {
		if err := os.Chown(c.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(c.dir, "data")
	c.run(t, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
	hba := "local postgres postgres trust\nlocal t all trust\nlocal p all password\nlocal m all md5\nlocal s all scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(t, "pg_ctl", "-D", data, "-w", "-t", "60", "-l", filepath.Join(c.dir, "log"), "-o",
		fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories=%s -c fsync=off", c.dir), "start")
	t.Cleanup(func() { c.run(t, "pg_ctl", "-D", data, "-m", "immediate", "stop") })
	return c
}

// serverUser is whom the server runs as: PostgreSQL refuses root.
func serverUser(t *testing.T) (uid, gid int) {
	if os.Geteuid() != 0 {
		return -1, -1
	}
	u, err := osuser.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

func (c *cluster) run(t *testing.T, program string, args ...string) {
	t.Helper()
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if path, err := exec.LookPath(program); err == nil {
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		t.Fatalf("%s is not installed", program)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, paths[len(paths)-1], args...)
	cmd.Dir = c.dir
	if uid, gid := serverUser(t); uid >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	// The server inherits the output: a pipe would keep Wait until it stops.
	out, err := os.CreateTemp(t.TempDir(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
}

// login lets howdah log in to the server; refused is the server's SQLSTATE.
func (c *cluster) login(t *testing.T, user, database string, creds auth.Credentials) (refused string, err error) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(c.dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	send(t, conn, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": user, "database": database}})
	l := auth.NewLogin(user, creds, rand.Reader)
	for {
		kind, body, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case 'E':
			var e pgproto3.ErrorResponse
			if err := e.Decode(body); err != nil {
				t.Fatal(err)
			}
			return e.Code, nil
		case 'R':
			reply, done, err := l.Step(body)
			if done || err != nil {
				return "", err
			}
			if reply != nil {
				send(t, conn, reply)
			}
		}
	}
}

func send(t testing.TB, conn io.Writer, m pgproto3.Message) {
	b, err := m.Encode(nil)
	if err == nil {
		_, err = conn.Write(b)
	}
	if err != nil {
		t.Errorf("send %T: %v", m, err)
	}
}

func readFrame(conn io.Reader) (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size < 4 || size > 1<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes", size)
	}
	body = make([]byte, size-4)
	_, err = io.ReadFull(conn, body)
	return header[0], body, err
}

// exec runs SQL as the superuser and returns the first column of the rows.
func (c *cluster) exec(t *testing.T, sql string) (column []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, "host="+c.dir+" user=postgres database=postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		for _, row := range r.Rows {
			column = append(column, string(row[0]))
		}
	}
	return column
}

// What howdah knows of a user, however it came by it, must open a real server.
func TestLoginToPostgres(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	// The last is a word that SASLprep changes, in each way PostgreSQL knows.
	passwords := map[string]string{"ann": "simple", "bob": "päß wörd \U0001F418", "cleo": "I\u00adX\u2168 a\u00a0b\u200bc", "dan": "\u0627\u0031\u2168"}
	setup := "SET password_encryption = 'scram-sha-256';"
	for user, p := range passwords {
		setup += fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s';", user, p)
	}
	setup += "SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'simple'; CREATE ROLE nopass LOGIN;"
	c.exec(t, setup)
	for _, database := range []string{"t", "p", "m", "s"} {
		c.exec(t, "CREATE DATABASE "+database)
	}
	check := func(what, user, database string, creds auth.Credentials, wantRefused string, wantErr bool) {
		t.Helper()
		refused, err := c.login(t, user, database, creds)
		if refused != wantRefused || (err != nil) != wantErr {
			t.Errorf("%s: %s to %s: got refusal %q, error %v, want %q, %v", what, user, database, refused, err, wantRefused, wantErr)
		}
	}
	for user, p := range passwords {
		stored, err := auth.ParseSecret(user, c.exec(t, "SELECT rolpassword FROM pg_authid WHERE rolname = '"+user+"'")[0])
		if err != nil {
			t.Fatal(err)
		}
		x := newAuthenticator(t).NewExchange(auth.MethodMD5, user, stored, true)
		if server, client := converse(t, x, auth.NewLogin(user, auth.PasswordCredentials(user, p), rand.Reader)); server != nil || client != nil {
			t.Errorf("%s: %v, %v", user, server, client)
		}
		for _, database := range []string{"t", "p", "m", "s"} {
			check("password", user, database, auth.PasswordCredentials(user, p), "", false)
			check("keys", user, database, x.Credentials(), "", database == "p")
			check("nothing", user, database, auth.Credentials{}, "", database != "t")
			if database != "t" {
				check("wrong", user, database, auth.PasswordCredentials(user, "wrong"), "28P01", false)
			}
		}
	}
	hash, err := auth.ParseSecret("old", c.exec(t, "SELECT rolpassword FROM pg_authid WHERE rolname = 'old'")[0])
	if err != nil || hash.Kind() != auth.KindMD5 {
		t.Fatal(hash, err)
	}
	check("hash", "old", "m", hash.Credentials(), "", false)
	check("hash", "old", "p", hash.Credentials(), "", true)
	check("hash", "old", "s", hash.Credentials(), "", true)
	check("password", "old", "m", auth.PasswordCredentials("old", "simple"), "", false)
	check("password", "old", "s", auth.PasswordCredentials("old", "simple"), "28P01", false)
	check("password", "nopass", "s", auth.PasswordCredentials("nopass", "simple"), "28P01", false)
	c.exec(t, "SET password_encryption = 'scram-sha-256'; ALTER ROLE ann PASSWORD 'simple'") // a new salt
	x := newAuthenticator(t).NewExchange(auth.MethodSCRAM, "ann", auth.PlainSecret("ann", "simple"), true)
	converse(t, x, auth.NewLogin("ann", auth.PasswordCredentials("ann", "simple"), rand.Reader))
	check("clear text learned from the file", "ann", "s", x.Credentials(), "", false)
}

// serve answers connections as howdah would, with an Exchange, until l closes.
func serve(t *testing.T, l net.Listener, exchange func(user, database string) *auth.Exchange) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		serveOne(t, conn, exchange)
		conn.Close()
	}
}

func serveOne(t *testing.T, conn net.Conn, exchange func(user, database string) *auth.Exchange) {
	backend := pgproto3.NewBackend(pgproto3.NewChunkReader(conn), conn)
	startup, err := backend.ReceiveStartupMessage()
	if err != nil {
		t.Error(err)
		return
	}
	parameters := startup.(*pgproto3.StartupMessage).Parameters
	x := exchange(parameters["user"], parameters["database"])
	reply, done, err := x.Start()
	for err == nil {
		if reply != nil {
			send(t, conn, reply)
		}
		if done {
			break
		}
		kind, body, readErr := readFrame(conn)
		if readErr != nil || kind != 'p' {
			return // the client gave up
		}
		reply, done, err = x.Step(body)
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		send(t, conn, &pgproto3.ErrorResponse{Severity: "FATAL", Code: e.Code, Message: e.Message})
		return
	}
	send(t, conn, &pgproto3.AuthenticationOk{})
	send(t, conn, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	for {
		kind, _, err := readFrame(conn)
		if err != nil || kind != 'Q' {
			return
		}
		send(t, conn, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")})
		send(t, conn, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// Real clients, pgx's and libpq's, against an Exchange of each method (named by
// the database) and each kind of secret (named by the user).
func TestRealClients(t *testing.T) {
	t.Parallel()
	const password = "päß wörd" // nothing that SASLprep changes: pgx prepares by another RFC
	secrets := map[string]auth.Secret{"plain": auth.PlainSecret("plain", password)}
	for user, stored := range map[string]string{"hashed": md5Stored("hashed", password), "scram": scramStored(t, password, []byte("0123456789abcdef"))} {
		s, err := auth.ParseSecret(user, stored)
		if err != nil {
			t.Fatal(err)
		}
		secrets[user] = s
	}
	methods := map[string]auth.Method{"password": auth.MethodPassword, "md5": auth.MethodMD5, "scram": auth.MethodSCRAM}
	a := newAuthenticator(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { // ends when l closes; awaited below
		defer close(served)
		serve(t, l, func(user, database string) *auth.Exchange {
			secret, known := secrets[user]
			return a.NewExchange(methods[database], user, secret, known)
		})
	}()
	defer func() { l.Close(); <-served }()
	port := l.Addr().(*net.TCPAddr).Port
	for _, user := range []string{"plain", "hashed", "scram", "unknown"} {
		for database := range methods {
			for _, typed := range []string{password, "wrong"} {
				want := ""
				if typed != password || user == "unknown" || user == "hashed" && database == "scram" {
					want = fmt.Sprintf(`password authentication failed for user "%s"`, user)
				}
				for client, connect := range map[string]func(port int, user, database, password string) string{"pgconn": byPgconn, "psql": byPsql} {
					got := connect(port, user, database, typed)
					if (got == "") != (want == "") || !strings.Contains(got, want) {
						t.Errorf("%s: %s by %s, %s: got %q, want %q", client, user, database, typed, got, want)
					}
				}
			}
		}
	}
}

func byPgconn(port int, user, database, password string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s database=%s sslmode=disable", port, user, database))
	if err != nil {
		return err.Error()
	}
	config.Password = password
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err.Error()
	}
	conn.Close(ctx)
	return ""
}

func byPsql(port int, user, database, password string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", "-X", "-w", "-c", "SELECT", fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable gssencmode=disable", port, user, database))
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return ""
}
