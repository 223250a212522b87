package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// commits are the ways in which a client may say it.
var commits = []struct {
	name string
	say  func(context.Context, *pgconn.PgConn) error
}{
	{"simple", func(ctx context.Context, c *pgconn.PgConn) error {
		return c.Exec(ctx, "COMMIT").Close()
	}},
	{"extended", func(ctx context.Context, c *pgconn.PgConn) error {
		return c.ExecParams(ctx, "END", nil, nil, nil, nil).Read().Err
	}},
	{"prepared", func(ctx context.Context, c *pgconn.PgConn) error {
		return c.ExecPrepared(ctx, "ending", nil, nil, nil).Read().Err
	}},
}

// committing begins a transaction in every way, has each write a number from first on, and say COMMIT. It returns the
// clients, and where the outcomes come.
func (r *rig) committing(first int, setting string) ([]*pgx.Conn, []chan error) {
	r.t.Helper()
	var clients []*pgx.Conn
	var ended []chan error
	for i, how := range commits {
		conn, err := pgx.Connect(r.t.Context(), r.server.DSN("postgres", "postgres")+" application_name=committing")
		must(r.t, err)
		r.t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the test is over
		pc := conn.PgConn()
		_, err = pc.Prepare(r.t.Context(), "ending", "COMMIT", nil)
		must(r.t, err)
		_, err = conn.Exec(r.t.Context(), "BEGIN")
		must(r.t, err)
		_, err = conn.Exec(r.t.Context(), setting)
		must(r.t, err)
		_, err = conn.Exec(r.t.Context(), "INSERT INTO tests VALUES ($1)", first+i)
		must(r.t, err)
		end := make(chan error, 1)
		go func() { // ends with the commit
			ctx, cancel := statementTimeout()
			defer cancel()
			end <- how.say(ctx, pc)
		}()
		clients, ended = append(clients, conn), append(ended, end)
	}
	return clients, ended
}

// waiting waits until all these commits wait for a synchronous standby on node i.
func (r *rig) waiting(i int) {
	r.t.Helper()
	eventually(r.t, "the commits to wait", func() error {
		got, err := r.cluster.Value(r.t.Context(), i, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'committing'")
		if err != nil || got != fmt.Sprint(len(commits)) {
			return fmt.Errorf("%s do, %v", got, err)
		}
		return nil
	})
}

// The answer to a COMMIT is lost with the primary: with resolve_commits the client is told what became of it.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const kept, lost = 10_000_001, 20_000_001

	// The standbys have the transactions, but have not replayed them, for which these wait.
	must(t, r.cluster.PauseReplay(t.Context(), 1))
	must(t, r.cluster.PauseReplay(t.Context(), 2))
	clients, ended := r.committing(kept, "SET LOCAL synchronous_commit = remote_apply")
	r.waiting(0)
	must(t, r.cluster.Kill(0))
	must(t, r.cluster.ResumeReplay(t.Context(), 1))
	must(t, r.cluster.ResumeReplay(t.Context(), 2))
	now := r.waitPrimary(0)
	for i, end := range ended {
		if err := <-end; err != nil {
			t.Errorf("%s: a COMMIT that took effect ended with %v", commits[i].name, err)
			continue
		}
		// The session goes on, out of the block.
		if status := clients[i].PgConn().TxStatus(); status != 'I' {
			t.Errorf("%s: the session is in state %c", commits[i].name, status)
		}
		if _, err := clients[i].Exec(t.Context(), "DELETE FROM own WHERE worker = $1", -i); err != nil {
			t.Errorf("%s: the session does not go on: %v", commits[i].name, err)
		}
	}
	r.rejoin(0, now)
	r.wait(3-now, "up standby")
	r.load.more(50)

	// No standby gets anything any more.
	senders, err := r.cluster.Value(t.Context(), now, "postgres", "SELECT string_agg(pid::text, ' ') FROM pg_stat_replication")
	must(t, err)
	var stopped []int
	for _, field := range strings.Fields(senders) {
		var pid int
		_, err := fmt.Sscan(field, &pid)
		must(t, err)
		must(t, syscall.Kill(pid, syscall.SIGSTOP))
		stopped = append(stopped, pid)
	}
	clients, ended = r.committing(lost, "SET LOCAL synchronous_commit = on")
	r.waiting(now)
	must(t, r.cluster.Kill(now))
	for _, pid := range stopped {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	next := r.waitPrimary(now)
	for i, end := range ended {
		var refused *pgconn.PgError
		if err := <-end; !errors.As(err, &refused) || refused.Code != "40001" || !strings.Contains(refused.Detail, "did not commit") {
			t.Errorf("%s: a COMMIT that is lost ended with %v", commits[i].name, err)
			continue
		}
		if _, err := clients[i].Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Errorf("%s: the session does not go on: %v", commits[i].name, err)
		}
	}
	r.load.more(50)
	got, err := r.cluster.Value(t.Context(), next, "postgres", fmt.Sprintf("SELECT string_agg(id::text, ' ' ORDER BY id) FROM tests WHERE id >= %d", kept))
	must(t, err)
	if want := fmt.Sprintf("%d %d %d", kept, kept+1, kept+2); got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
	r.load.end(r.cluster, next)
}
