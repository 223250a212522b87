package pgcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// DSN is a connection string for database db of node i over TCP as postgres.
func (c *Cluster) DSN(i int, db string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=%s sslmode=disable", c.Port(i), db)
}

// SocketDSN is as DSN over the Unix socket, where everyone is trusted.
func (c *Cluster) SocketDSN(i int, db string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable application_name=pgcluster", c.SocketDir(), c.Port(i), db)
}

// Connect opens a connection to database db of node i over the Unix socket. The
// caller closes it.
func (c *Cluster) Connect(ctx context.Context, i int, db string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, c.SocketDSN(i, db))
	if err != nil {
		return nil, fmt.Errorf("connect to node %d: %w", i, err)
	}
	return conn, nil
}

// Exec runs sql, which may be several statements, in database db of node i.
func (c *Cluster) Exec(ctx context.Context, i int, db, sql string) error {
	conn, err := c.Connect(ctx, i, db)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("run on node %d: %w", i, err)
	}
	return nil
}

// Value returns the first column of the first row of sql's answer as Go prints
// it (true, 42, text); NULL is "<nil>".
func (c *Cluster) Value(ctx context.Context, i int, db, sql string) (string, error) {
	conn, err := c.Connect(ctx, i, db)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", fmt.Errorf("ask node %d: %w", i, err)
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 || len(last.Rows[0]) == 0 {
		return "", fmt.Errorf("ask node %d: no row", i)
	}
	value := last.Rows[0][0]
	switch {
	case value == nil:
		return "<nil>", nil
	case last.FieldDescriptions[0].DataTypeOID == 16: // bool
		return fmt.Sprint(string(value) == "t"), nil
	}
	return string(value), nil
}

// Psql runs psql with args against database db of node i over TCP and returns
// what it wrote to both outputs.
func (c *Cluster) Psql(ctx context.Context, i int, db string, args ...string) (string, error) {
	connect := []string{"-X", "-h", "127.0.0.1", "-p", fmt.Sprint(c.Port(i)), "-U", "postgres", "-d", db}
	cmd := exec.CommandContext(ctx, c.Program("psql"), append(connect, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("run psql on node %d: %w: %s", i, err, lastLines(string(out), 3))
	}
	return string(out), nil
}

// SetHBA writes node i's pg_hba.conf from lines, or from Options.HBA if none are
// given; ReloadNode makes a running node read it.
func (c *Cluster) SetHBA(i int, lines ...string) error {
	return c.writeHBA(c.nodes[i], lines)
}

func (c *Cluster) writeHBA(n *node, lines []string) error {
	if len(lines) == 0 {
		lines = c.options.HBA
	}
	if len(lines) == 0 {
		lines = []string{"host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"}
	}
	text := "local all all trust\nlocal replication all trust\n" + strings.Join(lines, "\n") + "\n"
	path := filepath.Join(n.dir, "pg_hba.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// ReloadNode makes node i read its configuration files again.
func (c *Cluster) ReloadNode(ctx context.Context, i int) error {
	return c.Exec(ctx, i, "postgres", "SELECT pg_reload_conf()")
}
