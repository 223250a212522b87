package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// cancelRounds is how many statements each session cancels, safeStatements how many it runs after each, which nobody cancels;
// cancelSettings is how many settings it has.
const (
	cancelRounds   = 60
	safeStatements = 3
	cancelSettings = 90
)

// TestCancelHitsItsStatement has many sessions cancel short statements at about the time of their end.
func TestCancelHitsItsStatement(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cancelsHitTheirs(t, f, 8, 8)
}

// TestCancelHitsItsStatementShared has the sessions share four connections to each server: a cancel that comes late would
// hit another session.
func TestCancelHitsItsStatementShared(t *testing.T) {
	t.Parallel()
	cancelsHitTheirs(t, newShared(t, 4, nil), 8, 10)
}

// cancelsHitTheirs runs sessions of which some cancel their statements and others, the bystanders, do not. No statement may be
// canceled that began when no cancel request of its session was under way. That a cancel request is over the client
// knows by the end of its connection.
func cancelsHitTheirs(t *testing.T, f *fixture, cancelers, bystanders int) {
	t.Helper()
	f.readings(t)
	f.exec(t, fmt.Sprintf("CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counters SELECT i, 0 FROM generate_series(1, %d) i",
		cancelers+bystanders))
	var hits, misses atomic.Int64
	over := make(chan struct{})
	var canceling, all errgroup.Group
	for i := range cancelers + bystanders {
		conn, err := pgx.Connect(t.Context(), f.dsn())
		must(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		// Where connections are shared, these go before its statements: a cancel must not hit them either.
		for j := range cancelSettings {
			_, err = conn.Exec(t.Context(), fmt.Sprintf("SET my.s%d = '%d'", j, i+1))
			must(t, err)
		}
		s := &cancelSession{conn: conn, number: i + 1}
		if i < cancelers {
			canceling.Go(func() error { return s.cancelMany(t.Context(), &hits, &misses) })
		} else {
			all.Go(func() error { return s.standBy(t.Context(), over) })
		}
	}
	err := canceling.Wait()
	close(over)
	if err2 := all.Wait(); err == nil {
		err = err2
	}
	must(t, err)
	if hits.Load() == 0 || misses.Load() == 0 {
		t.Errorf("%d statements were canceled and %d were not: the moments show nothing", hits.Load(), misses.Load())
	}
	t.Logf("%d statements were canceled, %d were not", hits.Load(), misses.Load())
}

// cancelSession is one session. took is about how long each of its statements takes.
type cancelSession struct {
	conn   *pgx.Conn
	number int
	took   [len(cancelStatements)]time.Duration
}

// cancelStatements are short ones, for standbys and for the primary; each is given the session's number and has one row.
var cancelStatements = [...]string{
	"SELECT count(*) FROM readings WHERE id <> $1",
	"SELECT pg_sleep(0.008 + $1 * 0) WHERE current_setting('my.s89') = $1::text",
	"UPDATE counters SET n = n + 1 WHERE id = $1",
	"SELECT sum(i) FROM generate_series(1, 15000 + $1) i",
}

// cancelMany cancels statements at random moments from before their beginning to after their end.
func (s *cancelSession) cancelMany(ctx context.Context, hits, misses *atomic.Int64) error {
	for round := range cancelRounds {
		which := rand.IntN(len(cancelStatements))
		block := rand.IntN(4) == 0
		if block {
			if _, err := s.conn.Exec(ctx, "BEGIN"); err != nil {
				return fmt.Errorf("session %d, round %d: BEGIN: %w", s.number, round, err)
			}
		}
		began := time.Now()
		canceled := make(chan error, 1)
		go func() { // ends with the request
			time.Sleep(rand.N(s.took[which]*5/4 + time.Microsecond))
			canceled <- s.conn.PgConn().CancelRequest(ctx)
		}()
		_, err := s.conn.Exec(ctx, cancelStatements[which], s.number)
		switch {
		case err == nil:
			s.took[which] = time.Since(began)
			misses.Add(1)
		case sqlState(err) == "57014":
			hits.Add(1)
		default:
			return fmt.Errorf("session %d, round %d: %q that is canceled: %w", s.number, round, cancelStatements[which], err)
		}
		if err := <-canceled; err != nil {
			return fmt.Errorf("session %d, round %d: cancel: %w", s.number, round, err)
		}
		if block {
			if _, err := s.conn.Exec(ctx, "ROLLBACK"); err != nil {
				return fmt.Errorf("session %d, round %d: ROLLBACK: %w", s.number, round, err)
			}
		}
		for range safeStatements {
			if err := s.runSafe(ctx); err != nil {
				return fmt.Errorf("session %d, after round %d: %w", s.number, round, err)
			}
		}
	}
	return nil
}

// standBy runs statements, which nobody cancels, until the others are done.
func (s *cancelSession) standBy(ctx context.Context, over <-chan struct{}) error {
	for {
		select {
		case <-over:
			return nil
		default:
		}
		if err := s.runSafe(ctx); err != nil {
			return fmt.Errorf("bystander %d: %w", s.number, err)
		}
	}
}

func (s *cancelSession) runSafe(ctx context.Context) error {
	sql := cancelStatements[rand.IntN(len(cancelStatements))]
	tag, err := s.conn.Exec(ctx, sql, s.number)
	if err != nil {
		return fmt.Errorf("%q, which nobody cancels: %w", sql, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%q has %d rows, as if it had the settings of another session", sql, tag.RowsAffected())
	}
	return nil
}
