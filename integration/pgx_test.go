package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestPgx runs the same features in each of pgx's ways of running a query.
func TestPgx(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.readings(t)
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	features := []struct {
		name string
		run  func(t *testing.T, f *fixture, conn *pgx.Conn)
	}{
		{"queries", pgxQueries}, {"batch", pgxBatch}, {"copy", pgxCopy}, {"cancel", pgxCancel},
		{"transactions", pgxTransactions}, {"large rows", pgxLargeRows}, {"errors", pgxErrors},
	}
	const reads = 20
	for i, mode := range modes {
		t.Run(fmt.Sprintf("%v/reads", mode), func(t *testing.T) {
			conn := f.pgx(t, func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode })
			for id := range reads {
				var name string
				must(t, conn.QueryRow(t.Context(), "SELECT name FROM readings WHERE id = $1", id+1).Scan(&name))
				if want := fmt.Sprint("reading ", id+1); name != want {
					t.Errorf("read %q, want %q", name, want)
				}
			}
		})
		for _, feature := range features {
			t.Run(fmt.Sprintf("%v/%s", mode, feature.name), func(t *testing.T) {
				conn := f.pgx(t, func(config *pgx.ConnConfig) { config.DefaultQueryExecMode = mode })
				_, err := conn.Exec(t.Context(), fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS s%d; SET search_path = s%d; DROP TABLE IF EXISTS pets; CREATE TABLE pets (id int PRIMARY KEY, name text)", i, i))
				must(t, err)
				feature.run(t, f, conn)
			})
		}
	}
	f.wantReadsOnStandbys(t, "readings", len(modes)*reads)
}

// pgx connects through the fixture; the connection closes with the test.
func (f *fixture) pgx(t *testing.T, change func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(f.dsn())
	must(t, err)
	if change != nil {
		change(config)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func pgxQueries(t *testing.T, _ *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	for i := range 20 { // the same statement again: caches must agree with the server's
		_, err := conn.Exec(ctx, "INSERT INTO pets VALUES ($1, $2)", i, fmt.Sprint("pet ", i))
		must(t, err)
		var name string
		must(t, conn.QueryRow(ctx, "SELECT name FROM pets WHERE id = $1", i).Scan(&name))
		if want := fmt.Sprint("pet ", i); name != want {
			t.Errorf("a session reads %q of what it wrote, want %q", name, want)
		}
		var count int
		must(t, conn.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count))
		if count != i+1 {
			t.Errorf("after %d inserts a session counts %d", i+1, count)
		}
	}
	rows, err := conn.Query(ctx, "SELECT id, name FROM pets WHERE id = ANY($1) ORDER BY id", []int32{3, 1, 2})
	must(t, err)
	ids, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (int32, error) {
		var id int32
		var name string
		return id, row.Scan(&id, &name)
	})
	must(t, err)
	if fmt.Sprint(ids) != "[1 2 3]" {
		t.Errorf("got ids %v", ids)
	}
	var now time.Time
	var data []byte
	var null *int
	must(t, conn.QueryRow(ctx, "SELECT '2024-01-02 03:04:05Z'::timestamptz, '\\x00ff'::bytea, NULL::int").Scan(&now, &data, &null))
	if now.Unix() != 1704164645 || !bytes.Equal(data, []byte{0, 255}) || null != nil {
		t.Errorf("got %v %v %v", now, data, null)
	}
}

func pgxBatch(t *testing.T, _ *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	batch := &pgx.Batch{}
	const count = 50
	for i := range count {
		batch.Queue("INSERT INTO pets VALUES ($1, 'batch')", i)
		batch.Queue("SELECT count(*) FROM pets WHERE name = $1", "batch")
	}
	results := conn.SendBatch(ctx, batch)
	for i := range count {
		_, err := results.Exec()
		must(t, err)
		var n int
		must(t, results.QueryRow().Scan(&n))
		if n != i+1 {
			t.Errorf("the batch's count %d is %d", i, n)
		}
	}
	must(t, results.Close())
	failing := &pgx.Batch{} // one transaction: all of it goes
	failing.Queue("INSERT INTO pets VALUES (1000, 'gone')")
	failing.Queue("SELECT 1 / (SELECT count(*) - count(*) FROM pets)")
	failing.Queue("INSERT INTO pets VALUES (1001, 'gone')")
	if code := sqlState(conn.SendBatch(ctx, failing).Close()); code != "22012" {
		t.Errorf("a failing batch ends with %q, want 22012", code)
	}
	var n int
	must(t, conn.QueryRow(ctx, "SELECT count(*) FROM pets WHERE id >= 1000").Scan(&n))
	if n != 0 {
		t.Errorf("a failing batch left %d rows", n)
	}
}

func pgxCopy(t *testing.T, _ *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	const count = 20000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"pets"}, []string{"id", "name"},
		pgx.CopyFromSlice(count, func(i int) ([]any, error) { return []any{i, fmt.Sprint("copied ", i)}, nil }))
	must(t, err)
	if n != count {
		t.Errorf("copied %d rows, want %d", n, count)
	}
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "COPY pets TO STDOUT")
	must(t, err)
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != count {
		t.Errorf("copied out %d rows, want %d", lines, count)
	}
	broken := errors.New("the source broke")
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"pets"}, []string{"id", "name"},
		pgx.CopyFromFunc(func() ([]any, error) { return nil, broken }))
	if err == nil {
		t.Error("a copy whose source broke succeeded")
	}
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("not a number\tx\n"), "COPY pets FROM STDIN")
	if code := sqlState(err); code != "22P02" {
		t.Errorf("a bad copy ends with %q (%v), want 22P02", code, err)
	}
	must(t, conn.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&n))
	if n != count {
		t.Errorf("after the failed copies there are %d rows, want %d", n, count)
	}
}

// pgxCancel cancels by the protocol, so that the connection lives on.
func pgxCancel(t *testing.T, f *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	for _, sql := range []string{
		"SELECT pg_sleep(60) /* on the primary */",
		"SELECT count(*) FROM pg_class, generate_series(1, 100000) a, generate_series(1, 100000) b /* anywhere */",
	} {
		done := make(chan error, 1)
		go func() { // ends when the statement does
			_, err := conn.Exec(ctx, sql)
			done <- err
		}()
		marker := sql[strings.Index(sql, "/*"):]
		eventually(t, "the statement to run", func() error {
			for i := range f.cluster.Nodes() {
				active := fmt.Sprintf(`SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%%%s' AND state = 'active' AND pid <> pg_backend_pid())`, marker)
				if f.value(t, i, active) == "true" {
					return nil
				}
			}
			return errors.New("no node runs it")
		})
		must(t, conn.PgConn().CancelRequest(ctx))
		if code := sqlState(<-done); code != "57014" {
			t.Errorf("%s: cancelled, it ends with %q, want 57014", sql, code)
		}
		var one int
		must(t, conn.QueryRow(ctx, "SELECT 1").Scan(&one))
	}
}

func pgxTransactions(t *testing.T, f *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	must(t, err)
	var count int
	must(t, tx.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count))
	_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (1, 'kept')")
	must(t, err)
	must(t, tx.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count))
	if count != 1 {
		t.Errorf("a transaction counts %d of its own rows, want 1", count)
	}
	nested, err := tx.Begin(ctx)
	must(t, err)
	_, err = nested.Exec(ctx, "INSERT INTO pets VALUES (1, 'twice')")
	if code := sqlState(err); code != "23505" {
		t.Errorf("a duplicate is refused with %q, want 23505", code)
	}
	must(t, nested.Rollback(ctx))
	must(t, tx.Commit(ctx))

	for _, options := range []pgx.TxOptions{
		{AccessMode: pgx.ReadOnly},
		{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead},
		{AccessMode: pgx.ReadOnly, IsoLevel: pgx.Serializable, DeferrableMode: pgx.Deferrable},
	} {
		tx, err := conn.BeginTx(ctx, options)
		must(t, err)
		must(t, tx.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count))
		if count != 1 {
			t.Errorf("%+v counts %d rows of the session's own, want 1", options, count)
		}
		_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (2, 'refused')")
		if code := sqlState(err); code != "25006" {
			t.Errorf("%+v: a write is refused with %q, want 25006", options, code)
		}
		must(t, tx.Rollback(ctx))
	}
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		must(t, pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "UPDATE pets SET name = $1", string(level))
			return err
		}))
	}
	// Two serializable transactions that read each other's rows: one must fail.
	other := f.pgx(t, nil)
	var path string
	must(t, conn.QueryRow(ctx, "SHOW search_path").Scan(&path))
	_, err = other.Exec(ctx, "SET search_path = "+path)
	must(t, err)
	wantSerializationFailure(t, conn, other)
}

func wantSerializationFailure(t *testing.T, a, b *pgx.Conn) {
	t.Helper()
	ctx := t.Context()
	var txs []pgx.Tx
	for i, conn := range []*pgx.Conn{a, b} {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		must(t, err)
		var count int
		must(t, tx.QueryRow(ctx, "SELECT count(*) FROM pets").Scan(&count))
		_, err = tx.Exec(ctx, "INSERT INTO pets VALUES ($1, 'skewed')", 100+i)
		must(t, err)
		txs = append(txs, tx)
	}
	first, second := txs[0].Commit(ctx), txs[1].Commit(ctx)
	if first != nil || sqlState(second) != "40001" {
		t.Errorf("write skew: commits end with %v and %v, want the second refused with 40001", first, second)
	}
}

func pgxLargeRows(t *testing.T, _ *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	large := strings.Repeat("0123456789", 1_500_000)
	var length int
	must(t, conn.QueryRow(ctx, "SELECT length($1::text)", large).Scan(&length))
	if length != len(large) {
		t.Errorf("the server got %d bytes, want %d", length, len(large))
	}
	_, err := conn.Exec(ctx, "INSERT INTO pets VALUES (1, $1)", large)
	must(t, err)
	var back string
	must(t, conn.QueryRow(ctx, "SELECT name FROM pets WHERE id = 1").Scan(&back))
	if back != large {
		t.Errorf("a value of %d bytes came back different, with %d", len(large), len(back))
	}
	rows, err := conn.Query(ctx, "SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i")
	must(t, err)
	n := 0
	for rows.Next() {
		n++
	}
	must(t, rows.Err())
	if n != 50000 {
		t.Errorf("got %d rows, want 50000", n)
	}
}

func pgxErrors(t *testing.T, _ *fixture, conn *pgx.Conn) {
	ctx := t.Context()
	for sql, want := range map[string]string{
		"SELEKT":                   "42601",
		"SELECT * FROM nowhere":    "42P01",
		"SELECT nothing FROM pets": "42703",
		"SELECT 1/0":               "22012",
		"INSERT INTO pets VALUES (1, 'a'), (1, 'b')": "23505",
	} {
		_, err := conn.Exec(ctx, sql)
		if code := sqlState(err); code != want {
			t.Errorf("%s ends with %q, want %s", sql, code, want)
		}
	}
	var one int
	must(t, conn.QueryRow(ctx, "SELECT $1::int", 1).Scan(&one))
}

func TestPgxListens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	listener, sender := f.pgx(t, nil), f.pgx(t, nil)
	_, err := listener.Exec(ctx, "LISTEN news")
	must(t, err)
	for i := range 10 {
		_, err := sender.Exec(ctx, "SELECT pg_notify('news', $1)", fmt.Sprint(i))
		must(t, err)
		notification, err := listener.WaitForNotification(ctx)
		must(t, err)
		if notification.Payload != fmt.Sprint(i) {
			t.Errorf("heard %q, want %d", notification.Payload, i)
		}
		var n int
		must(t, listener.QueryRow(ctx, "SELECT count(*) FROM pg_class").Scan(&n))
	}
	// A listener that is waiting is not woken by anything else, and can be told to stop.
	short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	if _, err := listener.WaitForNotification(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no news, waiting ends with %v", err)
	}
	must(t, listener.Ping(ctx))
	// In a transaction it hears nothing, though nothing but BEGIN was said there.
	_, err = listener.Exec(ctx, "BEGIN")
	must(t, err)
	_, err = sender.Exec(ctx, "NOTIFY news, 'later'")
	must(t, err)
	within, stopWithin := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stopWithin()
	if heard, err := listener.WaitForNotification(within); err == nil {
		t.Errorf("in a transaction it hears %q", heard.Payload)
	}
	_, err = listener.Exec(ctx, "COMMIT")
	must(t, err)
	heard, err := listener.WaitForNotification(ctx)
	must(t, err)
	if heard.Payload != "later" {
		t.Errorf("after the transaction it hears %q", heard.Payload)
	}
}

// traces asks for what a session may have left behind in its server.
const traces = `SELECT current_setting('TimeZone'), current_setting('application_name'), array_to_string(current_schemas(false), ','),
	(SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
	(SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)),
	(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`

// TestSessionsAreApart gives many sessions, which share server connections one
// after the other, something of their own, and looks whether another finds it.
func TestSessionsAreApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	for i := range 20 {
		conn, err := pgx.Connect(ctx, f.dsn())
		must(t, err)
		for _, place := range []string{"", ", txid_current() > 0"} { // anywhere; on the primary
			var found []string
			rows, err := conn.Query(ctx, traces+place, pgx.QueryExecModeSimpleProtocol)
			must(t, err)
			for rows.Next() {
				for _, value := range rows.RawValues() {
					found = append(found, string(value))
				}
			}
			must(t, rows.Err())
			if got := strings.Join(found[:7], "|"); got != "UTC||public|0|0|0|0" {
				t.Fatalf("session %d finds of another: TimeZone|application_name|search_path|channels|statements|temporary tables|locks = %s", i, got)
			}
		}
		_, err = conn.Exec(ctx, `SET TimeZone = 'Asia/Tokyo'; SET application_name = 'mine'; LISTEN mine; PREPARE mine AS SELECT 1;
			CREATE TEMP TABLE mine (a int); SELECT pg_try_advisory_lock(7); SET search_path = nowhere; SET ROLE postgres;
			SET default_transaction_read_only = on`)
		must(t, err)
		_, err = conn.Exec(ctx, "BEGIN")
		must(t, err)
		must(t, conn.Close(ctx))
	}
}

// sqlState is the SQLSTATE of an error, or "" if it has none.
func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
