package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
)

// With mode command the user's commands promote, and have the others follow, the old primary too; under writers no statement fails.
func TestSwitchoverByCommand(t *testing.T) {
	t.Parallel()
	psql := "/usr/bin/psql -XAtq -U postgres -d postgres "
	d := newDoors(t, map[string]any{"failover.mode": "command",
		"failover.command": "[ %d = %P ] || exit 0; " + psql + "-h %H -p %r -c 'SELECT pg_promote(true)'; echo promoted %m for %P",
		"failover.follow_primary": psql + "-h %h -p %p -c \"ALTER SYSTEM SET primary_conninfo = 'host=%H port=%r user=postgres application_name=node%d'\"" +
			" -c 'SELECT pg_reload_conf()'; echo followed %d"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	w := startWriters(t, d.server, 3)
	w.more(20)
	d.wantHowdah(t, "switchover", "node2")
	d.waitNode(t, "node2", "up +primary")
	d.waitNode(t, "node0", "quarantine +primary")
	d.waitNode(t, "node1", "up +standby")
	w.more(20)
	w.mustNotFail()
	w.end(d.cluster, 2)
	out := d.wantHowdah(t, "commands")
	for _, want := range []string{"promoted 2 for 0", "followed 0", "followed 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("the commands did not say %q:\n%s", want, out)
		}
	}
	eventually(t, "node1 to have what was written", func() error {
		got, err := d.cluster.Value(t.Context(), 1, "postgres", fmt.Sprintf("SELECT count(*) >= %d FROM pets", len(w.acked)))
		if err != nil || got != "true" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
}

// A transaction that stays open makes a switchover be given up, and goes on unharmed; with cut it is lost with one error that says
// what to do, and its session goes on. Others begin no new one meanwhile, and fail in neither case.
func TestSwitchoverAndOpenTransactions(t *testing.T) {
	t.Parallel()
	d := newDoors(t, map[string]any{"failover.mode": "native", "failover.switchover_wait": "2s"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	w := startWriters(t, d.server, 2)
	w.more(20)
	conn := connect(t, d.server)
	for _, sql := range []string{"BEGIN", "INSERT INTO pets VALUES (-1)"} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	if out, diag, code := d.howdah(t, "switchover", "node1"); code == 0 || !strings.Contains(out+diag, "open transactions") {
		t.Errorf("a switchover with an open transaction: exit %d\n%s%s", code, out, diag)
	}
	d.waitNode(t, "node0", "up +primary")
	w.more(20)
	_, err := conn.Exec(t.Context(), "COMMIT")
	must(t, err)

	for _, sql := range []string{"BEGIN", "INSERT INTO pets VALUES (-2)"} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	d.wantHowdah(t, "switchover", "node1", "cut")
	d.waitNode(t, "node1", "up +primary")
	_, err = conn.Exec(t.Context(), "INSERT INTO pets VALUES (-2)")
	var lost *pgconn.PgError
	if !errors.As(err, &lost) || lost.Code != "40001" && lost.Code != "57P01" || lost.Hint == "" {
		t.Errorf("what was cut gets %v (%+v), want class 40 or 57 with a hint", err, lost)
	}
	for _, sql := range []string{"ROLLBACK", "INSERT INTO pets VALUES (-3)"} {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	w.more(20)
	w.mustNotFail()
	w.end(d.cluster, 1)
	if got, err := d.cluster.Value(t.Context(), 1, "postgres", "SELECT string_agg(id::text, ' ' ORDER BY id DESC) FROM pets WHERE id < 0"); err != nil || got != "-1 -3" {
		t.Errorf("of the transactions there are %q (%v)", got, err)
	}
}

// A session that listens hears nothing any more when another server has become the primary, though its connection to the old one
// lives: it is ended, so that it can listen anew. Others stay.
func TestListenerLearnsOfSwitchover(t *testing.T) {
	t.Parallel()
	d := newDoorsTo(t, pgcluster.ForTest(t, pgcluster.Options{Standbys: 1}), map[string]any{"failover.mode": "native"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	listener, other := connect(t, d.server), connect(t, d.server)
	_, err := listener.Exec(t.Context(), "LISTEN news")
	must(t, err)
	_, err = other.Exec(t.Context(), "NOTIFY news, 'first'")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	n, err := listener.WaitForNotification(ctx)
	must(t, err)
	if n.Payload != "first" {
		t.Errorf("it hears %q", n.Payload)
	}
	d.wantHowdah(t, "switchover")
	if _, err = listener.WaitForNotification(ctx); sqlState(err) != "57P01" {
		t.Errorf("after the switchover it hears %v, want 57P01", err)
	}
	_, err = other.Exec(t.Context(), "INSERT INTO pets VALUES (1)")
	must(t, err)
}
