package proxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
)

// What keeps a session on its primary connection is noted when it may come to be, and often
// nobody says when it ends: a function may have made no temporary table after all, a
// lock is released by a call. So after a statement that may have ended a
// cause the server is asked what is left. It costs a round trip behind the client's back,
// for such statements of such sessions only.

// reviewTimeout bounds the question.
const reviewTimeout = 10 * time.Second

// causesSQL asks for temporary objects, advisory locks, cursors WITH HOLD and statements made by PREPARE.
const causesSQL = `SELECT pg_catalog.concat(
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())
		OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema())
		OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema())
		OR EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprnamespace = pg_catalog.pg_my_temp_schema()) THEN 't' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) THEN 'l' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) THEN 'c' END,
	CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql) THEN 'p' END)`

// mayEndCause reports whether the unit may have ended what keeps a session on its
// connection, or may have made nothing of what it is suspected of.
func (u *unit) mayEndCause() bool {
	if u.opaque || u.conduct&parser.ConductTemp != 0 {
		return true
	}
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil {
			continue
		}
		for j := range v.Statements {
			if st := &v.Statements[j]; mayEndCause(st) {
				return true
			}
		}
	}
	return false
}

func mayEndCause(st *parser.Statement) bool {
	switch st.Kind {
	case parser.KindDDL, parser.KindUtility, parser.KindCall, parser.KindCloseCursor, parser.KindDeallocate,
		parser.KindTwoPhase, parser.KindRollback, parser.KindRollbackTo:
		return true
	}
	for _, f := range st.Functions {
		if strings.HasPrefix(f.Name, "pg_advisory_unlock") || strings.HasPrefix(f.Name, "pg_try_advisory") {
			return true
		}
	}
	return false
}

// reviewCauses asks, if a cause may have ended since the last time, what is left of them.
func (s *session) reviewCauses() error {
	st, l := &s.state, s.leases[balancer.ToPrimary]
	if !st.review || s.in.Session.Tx != balancer.TxNone || s.cycle != nil {
		return nil
	}
	st.review = false
	if l == nil || st.opaque || st.listening || !(st.temp || st.locks || st.cursors || st.sqlPrepared) || !s.isQuiet(l) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.srv.context, reviewTimeout)
	defer cancel()
	left, err := s.ask(ctx, l, causesSQL)
	if err != nil {
		var refused *pool.Refused
		if errors.As(err, &refused) {
			return nil // a statement_timeout, say: all stays as it is
		}
		return s.idleServerFailed(l, err)
	}
	l.used = cluster.Now()
	if !strings.Contains(left, "t") {
		st.temp, st.temps = false, temps{}
	}
	st.locks = st.locks && strings.Contains(left, "l")
	st.cursors = st.cursors && strings.Contains(left, "c")
	st.sqlPrepared = st.sqlPrepared && strings.Contains(left, "p")
	st.repin()
	return nil
}
