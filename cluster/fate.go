package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Commit is a transaction whose COMMIT got no answer, as the primary described it in front of that COMMIT.
type Commit struct {
	// XID is its number (pg_current_xact_id()), with the epoch; 0 is not known.
	XID uint64
	// Logged is where a record of the transaction's own ends in the log of Timeline. A server whose log has that record
	// gives the number to no other transaction; one whose log ends before it never saw the COMMIT.
	Logged   LSN
	Timeline uint32
	// Started is Node.Started of the primary then.
	Started string
}

// Fate is what became of a transaction.
type Fate uint8

const (
	// FateUnknown: nobody can tell any more.
	FateUnknown Fate = iota
	// FateCommitted: it took effect, and is where the primary's synchronous standbys have it.
	FateCommitted
	// FateAborted: it took no effect, and never will.
	FateAborted
)

func (f Fate) String() string {
	switch f {
	case FateCommitted:
		return "committed"
	case FateAborted:
		return "aborted"
	}
	return "not known"
}

// errStillRuns: the transaction has not ended.
var errStillRuns = errors.New("the transaction is in progress still")

// Fate asks the primary what became of a transaction; why says what the answer rests on. An error means that the answer may
// be had later. ctx bounds it. PostgreSQL manual: pg_xact_status().
func (c *Cluster) Fate(ctx context.Context, commit Commit) (f Fate, why string, err error) {
	v := c.View()
	n := v.Node(v.Primary)
	if n == nil {
		return FateUnknown, "", errors.New("there is no primary")
	}
	want := c.settings()
	for _, b := range want.backends {
		if b.Name == n.Name {
			var asked *commander
			if asked, err = command(ctx, b, &want); err != nil {
				return FateUnknown, "", err
			}
			defer asked.close()
			return asked.fate(ctx, commit)
		}
	}
	return FateUnknown, "", fmt.Errorf("%s is not configured any more", n.Name)
}

// witness is what decides whether a primary's pg_xact_status can be believed.
type witness struct {
	standby  bool
	timeline uint32
	started  string
	history  []fork
}

// judge decides it: ask is whether to ask; otherwise f and why are the answer.
func (commit *Commit) judge(w *witness) (ask bool, f Fate, why string) {
	switch {
	case w.standby, w.timeline < commit.Timeline:
		return false, FateUnknown, "the server is not the primary's successor"
	case w.timeline == commit.Timeline && (w.started == "" || w.started != commit.Started):
		// The end of its log may be lost, and the number given to another transaction.
		return false, FateUnknown, "the server was started again since, or may have been"
	case w.timeline == commit.Timeline:
		return true, FateUnknown, "the same server has run all the time"
	}
	for _, old := range w.history {
		if old.timeline != commit.Timeline {
			continue
		}
		if old.lsn < commit.Logged {
			return false, FateAborted, fmt.Sprintf("timeline %d was left at %v, before its COMMIT, which comes after %v", old.timeline, old.lsn, commit.Logged)
		}
		return true, FateUnknown, fmt.Sprintf("timeline %d was left at %v, and has the transaction's record up to %v", old.timeline, old.lsn, commit.Logged)
	}
	return false, FateUnknown, fmt.Sprintf("timeline %d is not in the primary's history, as far as it may be read", commit.Timeline)
}

// startedSQL tells one run of a server from the next, also after a crash that the postmaster survives: its
// checkpointer's start. It is empty if the role may not see it.
const startedSQL = `coalesce((SELECT date_part('epoch', backend_start)::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'), '')`

// barrierSQL is a transaction whose COMMIT waits for the synchronous standbys: whatever was committed before it is there then.
const barrierSQL = `SELECT pg_logical_emit_message(true, 'howdah', '')`

func (c *commander) fate(ctx context.Context, commit Commit) (Fate, string, error) {
	w, err := c.witness(ctx, commit.Timeline)
	if err != nil {
		return FateUnknown, "", err
	}
	ask, f, why := commit.judge(w)
	if !ask {
		return f, why, nil
	}
	status, err := c.value(ctx, fmt.Sprintf("SELECT pg_xact_status('%d')", commit.XID))
	if err != nil {
		var fromServer *pgconn.PgError
		if errors.As(err, &fromServer) && fromServer.Code == "22023" {
			return FateUnknown, "the primary does not know its number", nil
		}
		return FateUnknown, "", fmt.Errorf("ask for the transaction's status: %w", err)
	}
	switch status {
	case "aborted":
		return FateAborted, why, nil
	case "committed":
	case "in progress":
		return FateUnknown, "", errStillRuns
	default:
		return FateUnknown, "it is too long ago", nil
	}
	if err := c.barrier(ctx); err != nil {
		return FateUnknown, "", err
	}
	return FateCommitted, why, nil
}

// barrier waits until the synchronous standbys have all that the server has.
func (c *commander) barrier(ctx context.Context) error {
	if err := c.exec(ctx, "SET synchronous_commit = on; "+barrierSQL); err != nil {
		return fmt.Errorf("wait for the synchronous standbys: %w", err)
	}
	if c.warned != "" {
		return fmt.Errorf("wait for the synchronous standbys: %s", c.warned)
	}
	return nil
}

func (c *commander) witness(ctx context.Context, timeline uint32) (*witness, error) {
	link := connection{conn: c.conn}
	row, err := link.row(ctx, `SELECT s.standby, CASE WHEN s.standby THEN 0
		ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END, `+startedSQL+`,
		has_function_privilege('pg_read_file(text,bigint,bigint,boolean)', 'EXECUTE')
		FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) s`, 4)
	if err != nil {
		return nil, fmt.Errorf("ask what the server is: %w", err)
	}
	w := &witness{standby: row[0] == "t", started: row[2]}
	if _, err := fmt.Sscan(row[1], &w.timeline); err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	if w.timeline > timeline && row[3] == "t" {
		text, err := c.value(ctx, fmt.Sprintf(historySQL, w.timeline))
		if err != nil {
			return nil, fmt.Errorf("ask timeline's history: %w", err)
		}
		w.history = parseHistory(text)
	}
	return w, nil
}
