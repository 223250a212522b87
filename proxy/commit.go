package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// With failover.resolve_commits a COMMIT that may have written is preceded, in the same packet, by a question for the
// transaction's number. If the answer to the COMMIT is lost, the next primary is asked what became of that number. The question
// also writes a record of the transaction to the log: cluster.Commit says what it proves.

const (
	// commitVersion is the first server_version_num that has the functions.
	commitVersion = 130000
	// fateWait bounds one try to find out what became of a COMMIT.
	fateWait = 10 * time.Second
	// commitSQL answers nulls if the transaction has written nothing.
	commitSQL = "SELECT x, l, pg_catalog.pg_walfile_name(l) FROM (SELECT x, CASE WHEN x IS NOT NULL THEN " +
		"pg_catalog.pg_logical_emit_message(true, 'howdah', '') END AS l FROM pg_catalog.pg_current_xact_id_if_assigned() x) t"
)

// asksCommit reports whether the unit is a COMMIT whose transaction's number is wanted.
func (s *session) asksCommit(l *lease) bool {
	u := &s.unit
	v := u.verdict
	if v == nil || v.Single != parser.KindCommit || !s.set.failover.ResolveCommits {
		return false
	}
	bs := &s.in.Session
	if u.opaque || !u.ready || u.executes != 1 || u.foreign || !u.simple && !u.binds || v.Statements[0].Chain ||
		l.slot != balancer.ToPrimary || l.status != wire.TxOpen || l.cycling || bs.TxWriteNode != l.srv.Node && !bs.TxPrimary {
		return false
	}
	n := s.srv.cluster.View().Node(l.srv.Node)
	if n == nil || n.ServerVersion < commitVersion {
		return false
	}
	l.commit = cluster.Commit{Started: n.Started}
	return true
}

// appendAskCommit appends the question.
func appendAskCommit(b []byte, l *lease) []byte {
	b = appendRun(b, l, commitSQL, false)
	l.expect(expected{reply: replySync, swallow: true})
	return wire.AppendMessage(b, wire.Sync)
}

// noteCommit reads the row that answers it. What is not as expected is not known.
func (l *lease) noteCommit(row []byte) {
	if len(row) < 2 {
		return
	}
	row = row[2:]
	var fields [3]string
	for i := range fields {
		if len(row) < 4 {
			return
		}
		size := int(int32(uint32(row[0])<<24 | uint32(row[1])<<16 | uint32(row[2])<<8 | uint32(row[3])))
		row = row[4:]
		if size < 0 || size > len(row) {
			return
		}
		fields[i], row = string(row[:size]), row[size:]
	}
	xid, err1 := strconv.ParseUint(fields[0], 10, 64)
	logged, err2 := cluster.ParseLSN(fields[1])
	if err1 != nil || err2 != nil || len(fields[2]) < 8 {
		return
	}
	timeline, err := strconv.ParseUint(fields[2][:8], 16, 32)
	if err == nil {
		l.commit.XID, l.commit.Logged, l.commit.Timeline = xid, logged, uint32(timeline)
	}
}

// lostCommit reports whether what broke off on the lease is a COMMIT whose transaction is known.
func (s *session) lostCommit(l *lease) bool {
	if !l.asks || l.commit.XID == 0 || l.failed || l.passing > 0 || s.holds(l) {
		return false
	}
	for i := l.head; i < len(l.owed); i++ {
		if e := &l.owed[i]; !e.swallow && (e.reply == replyExecute || e.reply == replyQuery) {
			return true
		}
	}
	return false // not sent as a whole, or it is complete already
}

// resolveCommit waits for a primary and asks it what became of the COMMIT that the lease's server did not answer. The client
// gets what is left of the answer if it took effect; done is false if it did not, or nobody can tell.
func (s *session) resolveCommit(l *lease) (f cluster.Fate, why string) {
	hold := holdTimer{session: s}
	defer hold.end()
	end := time.Now().Add(s.set.failover.Hold)
	for {
		err := hold.wait(s.srv.context, s.set.failover.Hold, func(v *cluster.View) bool {
			return v.Primary != cluster.NoNode && s.srv.cluster.MayWrite(v)
		})
		if err != nil {
			return cluster.FateUnknown, err.Error()
		}
		ctx, done := s.waiting(s.srv.context)
		limited, cancel := context.WithTimeout(ctx, min(fateWait, time.Until(end)))
		f, why, err = s.srv.cluster.Fate(limited, l.commit)
		cancel()
		if err == nil || errors.Is(context.Cause(ctx), errCanceled) || time.Until(end) < retryEvery {
			done()
			if err != nil {
				why = err.Error()
			}
			return f, why
		}
		pause(ctx, retryEvery)
		done()
	}
}

// commitFailed deals with a COMMIT that broke off, when its lease is closed already.
func (s *session) commitFailed(l *lease, lost *wire.Error) error {
	f, why := s.resolveCommit(l)
	s.log.Warn("the answer to a COMMIT was lost", "node", l.srv.Node, "xid", l.commit.XID, "fate", f.String(), "why", why)
	switch f {
	case cluster.FateCommitted:
		return s.answerCommit(l)
	case cluster.FateAborted:
		l.dropToSync(&s.stmts)
		return s.report(&wire.Error{Code: "40001", Message: lost.Message,
			Detail: "The transaction did not commit; nothing of it took effect.", Hint: "Roll back and run the transaction again."})
	}
	l.dropToSync(&s.stmts)
	lost.Detail += fmt.Sprintf(" The primary was asked: %s.", why)
	return s.report(lost)
}

// answerCommit gives the client what the lost server still owed for a COMMIT that took effect.
func (s *session) answerCommit(l *lease) error {
	s.commit(nil)
	s.endOthers(nil)
	s.endBlock()
	b := s.out[:0]
	for i := l.head; i < len(l.owed); i++ {
		if l.owed[i].swallow {
			continue
		}
		switch l.owed[i].reply {
		case replyParse, replyReused:
			b = wire.AppendMessage(b, wire.ParseComplete)
		case replyBind:
			b = wire.AppendMessage(b, wire.BindComplete)
		case replyDescribe:
			b = wire.AppendMessage(b, wire.NoData)
		case replyExecute:
			b = wire.AppendMessage(b, wire.CommandComplete, "COMMIT\x00")
		case replyClose:
			b = wire.AppendMessage(b, wire.CloseComplete)
		case replySync:
			b = wire.AppendReady(b, s.clientStatus())
		case replyQuery:
			b = wire.AppendMessage(b, wire.CommandComplete, "COMMIT\x00")
			b = wire.AppendReady(b, s.clientStatus())
		}
	}
	return s.answered(b)
}
