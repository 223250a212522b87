package proxy

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// A standby may show a transaction before the primary does. A commit is visible on
// the primary only when its backend, after writing (and with synchronous replication
// sending) the log, gets to say so; the standby needs just the log. On a busy
// machine the primary is tens of milliseconds late at times. So a session that reads on
// a standby and then on the primary could go back in time. When it does so, it
// asks both: which transactions run on the primary that are committed on the
// standby? While there is one, it waits.

const (
	// aheadFor is how long after a read on a standby the question is asked.
	aheadFor = int64(5 * time.Second)
	// aheadWait bounds the waiting, as a transaction can wait for ever for a synchronous
	// standby that is down; aheadPause is how long between the questions.
	aheadWait  = 200 * time.Millisecond
	aheadPause = time.Millisecond
	// aheadTimeout is for the primary's answers; a server that takes longer is taken for dead. A standby is not waited for so long: one
	// that hangs must not delay a read that does not need it.
	aheadTimeout        = 10 * time.Second
	aheadStandbyTimeout = time.Second
	// aheadVersion is the first server_version_num that has the functions.
	aheadVersion = 130000
)

const (
	runningSQL = "SELECT pg_catalog.array_agg(x)::pg_catalog.text FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) x"
	// What the standby has not seen ended yet lies at or above its xmax, and it has no status there.
	committedSQL = "SELECT pg_catalog.array_agg(x)::pg_catalog.text FROM pg_catalog.unnest($1::pg_catalog.xid8[]) x " +
		"WHERE CASE WHEN x < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) THEN pg_catalog.pg_xact_status(x) = 'committed' END"
	stillRunningSQL = "SELECT 1 FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) x WHERE x = ANY ($1::pg_catalog.xid8[]) LIMIT 1"
)

// catchUpPrimary sees to it that the primary, on l, shows what the session has seen on
// its read node.
func (s *session) catchUpPrimary(l *lease) error {
	bs := &s.in.Session
	if !bs.Ahead || l.slot != balancer.ToPrimary || !s.readsNow(l) {
		return nil
	}
	bs.Ahead = false
	if s.shared && s.leases[balancer.ToRead] == nil && cluster.Now()-bs.LastReadTime <= aheadFor {
		s.borrowToAsk(bs.LastReadNode)
	}
	read := s.leases[balancer.ToRead]
	if n := s.srv.cluster.View().Node(l.srv.Node); n == nil || n.ServerVersion < aheadVersion {
		return nil
	}
	if read == nil || read.srv.Node != bs.LastReadNode || !s.isQuiet(read) || !s.isQuiet(l) || cluster.Now()-bs.LastReadTime > aheadFor {
		return nil
	}
	// A cancel request does not end this: it would break the connection for nothing.
	ctx, end := context.WithTimeout(s.srv.context, aheadTimeout)
	defer end()
	running, err := s.ask(ctx, l, runningSQL)
	if err != nil || running == "" {
		return s.orRefused(l, err)
	}
	late := s.askCommitted(ctx, read, running)
	limit, cancel := context.WithTimeout(ctx, aheadWait)
	defer cancel()
	for late != "" && limit.Err() == nil {
		still, err := s.ask(ctx, l, stillRunningSQL, late)
		if err != nil || still == "" {
			return s.orRefused(l, err)
		}
		pause(limit, aheadPause)
	}
	return nil
}

// askCommitted asks the standby which of the transactions it shows as committed. If it does not say so, it may be any.
func (s *session) askCommitted(ctx context.Context, read *lease, running string) string {
	node := read.srv.Node
	if n := s.srv.cluster.View().Node(node); n == nil || n.State != cluster.StateUp {
		return running
	}
	ctx, cancel := context.WithTimeout(ctx, aheadStandbyTimeout)
	defer cancel()
	late, err := s.ask(ctx, read, committedSQL, running)
	if err != nil {
		s.srv.cluster.Report(node, err)
		s.dropLease(read) // the read does not need it
		return running
	}
	return late
}

// borrowToAsk leases a connection to the standby that was read from, for a question about
// what it has shown. Without one the question is not asked.
func (s *session) borrowToAsk(node cluster.NodeID) {
	if n := s.srv.cluster.View().Node(node); n == nil || n.State != cluster.StateUp {
		return
	}
	ctx, cancel := context.WithTimeout(s.srv.context, aheadWait)
	defer cancel()
	if _, err := s.leaseOn(ctx, &balancer.Decision{Node: node, Target: balancer.ToRead}); err != nil {
		s.log.Debug("no connection to ask a standby what it has shown", "node", node, "error", err)
	}
}

// orRefused forgives the primary a refusal (a statement_timeout, say): the question is
// a courtesy. But in a block it has failed that.
func (s *session) orRefused(l *lease, err error) error {
	var refused *pool.Refused
	if errors.As(err, &refused) && !l.inTransaction() {
		s.log.Debug("whether the primary shows what was read on a standby is not known", "error", err)
		return nil
	}
	return err
}

// readsNow reports whether the unit is a read that shows on l what is committed now.
func (s *session) readsNow(l *lease) bool {
	v := s.unit.verdict
	if v == nil || s.unit.opaque || s.unit.foreign || v.Access != parser.AccessRead {
		return false
	}
	bs := &s.in.Session
	return bs.Settings.Consistency != balancer.ConsistencyNone && bs.Tx != balancer.TxFailed &&
		(!l.inTransaction() || bs.TxIsolation <= parser.IsolationReadCommitted)
}

// isQuiet reports whether howdah may ask something of its own on the lease.
func (s *session) isQuiet(l *lease) bool {
	return !l.owes() && !l.cycling && l != s.cycle && l.status != wire.TxFailed && len(l.srv.Buffered()) == 0 &&
		!(s.state.listening && l.slot == balancer.ToPrimary) // a notification would be lost
}

// ask asks the lease's server for one text; it is empty if the answer is none or null.
func (s *session) ask(ctx context.Context, l *lease, sql string, params ...string) (string, error) {
	if p := s.stmts.unnamed; p != nil {
		l.loses(p)
	}
	row, err := l.srv.QueryRow(ctx, sql, params...)
	if err != nil {
		return "", serverError{err}
	}
	if len(row) == 0 {
		return "", nil
	}
	return string(bytes.TrimSpace(row[0])), nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
