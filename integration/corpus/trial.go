package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/parser"
)

// Limits of the trial sessions. The session under test may hold locks, which a
// trial must not wait for: it would wait for itself.
const (
	lockTimeout      = "300ms"
	statementTimeout = "20s"
	answerTimeout    = 60 * time.Second
)

// session is one connection of a trial.
type session struct {
	conn     *pgconn.HijackedConn
	frontend *pgproto3.Frontend
}

func openSession(ctx context.Context, cluster *pgcluster.Cluster, node int, params map[string]string) (*session, error) {
	config, err := pgconn.ParseConfig(cluster.SocketDSN(node, "postgres"))
	if err != nil {
		return nil, fmt.Errorf("read connection string: %w", err)
	}
	config.RuntimeParams = maps.Clone(params)
	config.User, config.Database = params["user"], params["database"]
	delete(config.RuntimeParams, "user")
	delete(config.RuntimeParams, "database")
	config.RuntimeParams["lock_timeout"] = lockTimeout
	config.RuntimeParams["statement_timeout"] = statementTimeout
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to node %d: %w", node, err)
	}
	hijacked, err := c.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over connection: %w", err)
	}
	return &session{conn: hijacked, frontend: hijacked.Frontend}, nil
}

// ask runs one text and reads the whole answer. It leaves no transaction open.
func (s *session) ask(sql string) (*answer, error) {
	if err := s.conn.Conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	s.frontend.Send(&pgproto3.Query{String: sql})
	if err := s.frontend.Flush(); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	a, err := receive(s.frontend)
	if err == nil && a.status != 'I' {
		_, err = s.ask("ROLLBACK")
	}
	return a, err
}

func (s *session) close() error {
	if s == nil {
		return nil
	}
	return s.conn.Conn.Close()
}

// trier tries the statements of one psql session.
type trier struct {
	cluster *pgcluster.Cluster
	// params are what the psql session was opened with; settings what it has run
	// since to change its settings.
	params   map[string]string
	settings []string

	standby, twin *session
	// control asks the primary how far its log is, and watch the standby.
	control, watch *session
}

func newTrier(ctx context.Context, cluster *pgcluster.Cluster, params map[string]string) (*trier, error) {
	t := &trier{cluster: cluster, params: params}
	var err error
	own := map[string]string{"user": "postgres", "database": "postgres"}
	if t.control, err = openSession(ctx, cluster, 0, own); err != nil {
		return nil, err
	}
	if t.watch, err = openSession(ctx, cluster, 1, own); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *trier) close() error {
	return errors.Join(t.standby.close(), t.twin.close(), t.control.close(), t.watch.close())
}

// open makes the two trial sessions, if they are not there.
func (t *trier) open(ctx context.Context) error {
	if t.standby != nil {
		return nil
	}
	var err error
	if t.twin, err = openSession(ctx, t.cluster, 0, t.params); err != nil {
		return err
	}
	if t.standby, err = openSession(ctx, t.cluster, 1, t.params); err != nil {
		return errors.Join(err, t.drop())
	}
	for _, sql := range t.settings {
		if err := t.repeat(sql); err != nil {
			return err
		}
	}
	return nil
}

// drop closes the trial sessions; the next trial makes new ones.
func (t *trier) drop() error {
	err := errors.Join(t.standby.close(), t.twin.close())
	t.standby, t.twin = nil, nil
	return err
}

// set takes in a change of settings that the psql session made.
func (t *trier) set(sql string) error {
	t.settings = append(t.settings, sql)
	if t.standby == nil {
		return nil
	}
	return t.repeat(sql)
}

// repeat makes a setting in both sessions. The standby must have what the
// setting names, a role say.
func (t *trier) repeat(sql string) error {
	if err := t.waitReplay(); err != nil {
		return err
	}
	_, errStandby := t.standby.ask(sql)
	_, errTwin := t.twin.ask(sql)
	if errStandby != nil || errTwin != nil {
		return errors.Join(errStandby, errTwin, t.drop())
	}
	return nil
}

// waitReplay returns when the standby has all that the primary has committed.
func (t *trier) waitReplay() error {
	const timeout = 60 * time.Second
	position, err := t.control.ask("SELECT pg_current_wal_flush_lsn()")
	if err != nil {
		return err
	}
	question := fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", position.results[0].rows[0])
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		a, err := t.watch.ask(question)
		if err != nil {
			return err
		}
		if len(a.results) > 0 && a.results[0].rows[0] == "t" {
			return nil
		}
	}
	return fmt.Errorf("wait for replay of %s: not within %v", position.results[0].rows[0], timeout)
}

// try labels a text; what cannot be tried gets no label. twin is how the primary
// answered, nil if it was not asked.
func (t *trier) try(ctx context.Context, sql string, v *parser.Verdict) (l *label, twin *answer, err error) {
	e := effectOf(sql)
	if e == changesSession || forbidden.MatchString(sql) {
		return nil, nil, nil
	}
	if err := t.waitReplay(); err != nil {
		return nil, nil, err
	}
	if err := t.open(ctx); err != nil {
		return nil, nil, nil //nolint:nilerr // the psql session may have set what nobody else can
	}
	there, err := t.standby.ask(sql)
	if err != nil || there.timedOut() {
		return nil, nil, t.drop()
	}
	l = &label{SQL: sql, Label: labelPrimary, Code: there.code}
	switch {
	case there.refused():
		l.Why, l.StandbySaid = "refused", there.message
		return l, nil, nil
	case acts(sql, v):
		l.Why = "acts"
		return l, nil, t.drop() // and with it what the function did to the session
	case e == mayWrite:
		return nil, nil, nil
	}
	here, err := t.twin.ask(sql)
	if err != nil || here.timedOut() {
		return nil, nil, t.drop()
	}
	again, err := t.twin.ask(sql)
	if err != nil || again.timedOut() {
		return nil, nil, t.drop()
	}
	t.compare(l, there, here, again)
	return l, here, nil
}

func (t *trier) compare(l *label, there, here, again *answer) {
	ordered := inOrder(l.SQL)
	switch {
	case same(there, here, ordered):
		l.Label = labelEqual
	case !same(here, again, ordered) && sameShape(there, here):
		l.Label, l.Unstable = labelEqual, true
	default:
		l.Why = "differs"
		l.StandbySaid, l.PrimarySaid = differences(there, here)
	}
	l.Unstable = l.Unstable || strings.HasPrefix(l.Code, "57")
}

// builtinFunctions are the functions of a database in which nobody made any.
func builtinFunctions(ctx context.Context, cluster *pgcluster.Cluster) (map[string]bool, error) {
	s, err := openSession(ctx, cluster, 0, map[string]string{"user": "postgres", "database": "postgres"})
	if err != nil {
		return nil, err
	}
	defer s.close() //nolint:errcheck // nothing depends on it
	a, err := s.ask("SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, name := range a.results[0].rows {
		names[name] = true
	}
	return names, nil
}
