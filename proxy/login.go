package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// login authenticates a client and gives it its first answers.
func (srv *Server) login(ctx context.Context, c *wire.Conn, req *startupRequest, set *settings, log *slog.Logger) (*session, error) {
	log = log.With("user", req.key.User, "database", req.key.Database)
	if req.negotiate != nil {
		if err := c.Write(req.negotiate); err != nil {
			return nil, clientError{err}
		}
	}
	info := srv.connInfo(ctx, req, set)
	rule, err := set.hba.Check(info)
	if err != nil {
		return nil, err
	}
	cred, err := srv.authenticate(ctx, c, req, rule, info, set)
	if err != nil {
		srv.failedLogin(req.from, clientErrorOf(err).Code, set)
		return nil, err
	}
	if err := req.seat.take(set, req.key.User, req.key.Database); err != nil {
		return nil, err
	}
	req.key.Credentials = cred.Identity()
	if req.replication != notReplication {
		return srv.loginReplication(ctx, c, req, cred, set, log)
	}
	mode := set.pool.ModeOf(req.key.User, req.key.Database)
	req.key.Shared = mode != configs.PoolSession
	base := req.takeBase(set)
	p, err := srv.logins.verify(ctx, srv, req.key, cred, set)
	var refused *pool.Refused
	if errors.As(err, &refused) {
		// The client has passed here; the refusal is the server's, in its own words.
		log.Info("login refused by a backend", "error", err)
		srv.failedLogin(req.from, refused.Code, set)
		c.Write(append(authenticationOk(), refused.Response...))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	superuser, _ := p.params.Get("is_superuser")
	if req.seat.reserved && superuser != "on" {
		return nil, errReserved(set.limits)
	}
	s := &session{srv: srv, set: set, client: c, key: req.key, cred: cred, told: p.params, shared: req.key.Shared, statementMode: mode == configs.PoolStatement, superuser: superuser == "on"}
	s.usesSequences = s.shared && srv.sequences.has(&req.key)
	s.database = srv.lessons.database(req.key.Database)
	s.cancelled = make(chan struct{}, 1)
	s.cancelling.pool, s.line.Notice = srv.pool, true
	s.state.version = freshVersion
	s.shown.begin(req.from, req.application)
	s.in.Session = balancer.NewSession(set.balancer)
	s.in.Session.FloorPrimary = srv.defaultsSince.Load()
	s.writes = srv.writes.session(req.key.Database, srv.plains.of(req.key.Database))
	s.state.isolation, s.state.firstIsolation = p.isolation, p.isolation
	s.state.readOnly, s.state.firstReadOnly = p.readOnly, p.readOnly
	s.state.begin(p.searchPath)
	s.beginWith(base)
	s.noteEncoding()
	s.rand.Seed(mathrand.Uint64(), mathrand.Uint64())
	if err := s.startRoute(req, p); err != nil {
		return nil, err
	}
	s.secret = newCancelKey(req.minor)
	if set.pool.BackendPIDs == "server" && !s.shared {
		if err := s.borrowAtLogin(ctx); err != nil {
			return nil, err
		}
	}
	if err := srv.registry.add(s); err != nil {
		s.end()
		return nil, err
	}
	s.log = log.With("session", s.pid)
	s.names.database = srv.catalogs.attach(req.key.Database)
	s.names.database.await(ctx)
	if err := s.welcome(); err != nil {
		s.end()
		srv.dismiss(s)
		return nil, err
	}
	s.logLogin(req, rule.Method.String())
	return s, nil
}

// borrowAtLogin takes the session's connection to the primary, whose process id it is to have. Without a
// primary it gets a number as other sessions do.
func (s *session) borrowAtLogin(ctx context.Context) error {
	n := s.srv.cluster.View().Node(s.srv.cluster.View().Primary)
	if n == nil {
		return nil
	}
	ctx, stop := s.srv.untilLost(ctx, n.ID)
	defer stop()
	srv, err := s.srv.pool.Acquire(ctx, n, s.key, s.cred, nil)
	if err != nil {
		if s.tryElsewhere(n.ID, err) {
			return nil // it is as if there were none; statements wait for the next
		}
		return err
	}
	s.borrow(srv, balancer.ToPrimary, cluster.Now())
	s.compared = srv.Defaults // of which the client is told at its welcome
	s.pid = srv.PID
	return nil
}

// dismiss forgets a session that has ended.
func (srv *Server) dismiss(s *session) {
	srv.registry.remove(s)
	if s.names.database != nil {
		srv.catalogs.detach(s.names.database)
	}
}

func authenticationOk() []byte {
	return wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x00")
}

// welcomeSize is room for what servers report at a login, which is about 400 bytes.
const welcomeSize = 640

// welcome sends what ends a login.
func (s *session) welcome() error {
	b := make([]byte, 0, welcomeSize)
	b = appendParams(append(b, authenticationOk()...), s.told)
	b = wire.AppendHeader(b, wire.BackendKeyData, 4+len(s.secret))
	b = binary.BigEndian.AppendUint32(b, s.pid)
	b = append(b, s.secret...)
	b = wire.AppendReady(b, wire.TxIdle)
	if err := s.client.Write(b); err != nil {
		return clientError{err}
	}
	return nil
}

// secretOf finds the secret of a user: in the password file, or by the
// authentication query.
func (srv *Server) secretOf(ctx context.Context, user string, method auth.Method, set *settings) (auth.Secret, bool, error) {
	if set.passwd != nil {
		if secret, ok := set.passwd.Lookup(user); ok {
			return secret, true, nil
		}
	}
	if set.auth.Query.User == "" || method == auth.MethodReject || user == set.auth.Query.User {
		return auth.Secret{}, false, nil
	}
	secret, known, err := srv.queryAuth(ctx, user, set)
	if err != nil && method == auth.MethodTrust {
		return auth.Secret{}, false, nil // it would only have been of use for the servers
	}
	if err != nil {
		err = &wire.Error{Code: "28000", Message: fmt.Sprintf("user %q cannot be authenticated now", user),
			Hint: "The operator finds the reason in howdah's log.", Err: err}
	}
	return secret, known, err
}

// queryAuth asks a backend for a user's secret.
func (srv *Server) queryAuth(ctx context.Context, user string, set *settings) (auth.Secret, bool, error) {
	q := &set.auth.Query
	row, err := srv.ask(ctx, set, q.User, q.Password, q.Database, q.SQL, user)
	if err != nil {
		return auth.Secret{}, false, fmt.Errorf("auth.query: %w", err)
	}
	if len(row) < 2 || row[1] == nil {
		return auth.Secret{}, false, nil
	}
	secret, err := auth.ParseSecret(user, string(row[1]))
	if err != nil {
		return auth.Secret{}, false, fmt.Errorf("auth.query: %w", err)
	}
	return secret, true, nil
}

// ask runs sql with one parameter for howdah's own purposes, as user, and returns the first
// row. The connection has a fixed search_path: nothing of the client's startup packet reaches it.
func (srv *Server) ask(ctx context.Context, set *settings, user, password, database, sql, param string) ([][]byte, error) {
	n, err := srv.anyNode(ctx, set)
	if err != nil {
		return nil, err
	}
	key := pool.Key{User: user, Database: database, Params: "application_name\x00howdah\x00search_path\x00pg_catalog\x00"}
	cred := auth.PasswordCredentials(user, password)
	key.Credentials = cred.Identity()
	conn, err := srv.pool.Acquire(ctx, n, key, cred, nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	row, err := conn.QueryRow(ctx, sql, param)
	if err != nil {
		srv.pool.Discard(conn)
		return nil, err
	}
	srv.pool.ReleaseUnused(conn)
	return row, nil
}

// anyNode returns a node for howdah's own questions: the primary, or any that
// is up and may be read. It waits for one as a statement waits for a primary.
func (srv *Server) anyNode(ctx context.Context, set *settings) (*cluster.Node, error) {
	pick := func(v *cluster.View) *cluster.Node {
		if n := v.Node(v.Primary); n != nil {
			return n
		}
		for i := range v.Nodes {
			if n := &v.Nodes[i]; n.State == cluster.StateUp && n.Weight > 0 {
				return n
			}
		}
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, set.failover.Hold, &wire.Error{Code: "57P03",
		Message: "no backend is available", Hint: "The operator sees the state of the backends in howdah's log."})
	defer cancel()
	view, err := srv.cluster.WaitFor(ctx, func(v *cluster.View) bool { return pick(v) != nil })
	if err != nil {
		return nil, err
	}
	return pick(view), nil
}

// profile is what a server said at the login of a user to a database.
type profile struct {
	params    *pool.Params
	isolation parser.Isolation
	readOnly  bool
	// searchPath is search_path as the role and the database have it, or unknownPath.
	searchPath string
	route      string // howdah.route of the role or the database (ALTER ROLE … SET)
	at         time.Time
}

// logins remembers, for a while, which users and databases the servers
// accepted, so that not every client costs a login there.
type logins struct {
	mu    sync.Mutex
	known map[pool.Key]*verification
	swept time.Time // when expired ones were last removed
}

// verification is one profile, or the wait for it.
type verification struct {
	done    chan struct{}
	profile *profile
	err     error
}

// maxLogins bounds what is remembered.
const maxLogins = 10_000

// verify returns what a server says to the login; of many clients that ask for the
// same at once, one asks the server.
func (lg *logins) verify(ctx context.Context, srv *Server, key pool.Key, cred auth.Credentials, set *settings) (*profile, error) {
	for {
		lg.mu.Lock()
		v := lg.known[key]
		if v == nil || v.expired(set.auth.VerifyInterval) {
			v = &verification{done: make(chan struct{})}
			lg.keep(key, v, set.auth.VerifyInterval)
			lg.mu.Unlock()
			lg.ask(ctx, srv, key, v, cred, set)
			return v.profile, v.err
		}
		lg.mu.Unlock()
		select {
		case <-v.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if v.err == nil {
			return v.profile, nil
		}
		// Another client's attempt failed; its reason may be its own (its deadline, its secret).
	}
}

// ask asks a server and tells all who wait for v, whatever happens.
func (lg *logins) ask(ctx context.Context, srv *Server, key pool.Key, v *verification, cred auth.Credentials, set *settings) {
	v.err = errors.New("login check broke off")
	defer func() {
		if v.err != nil {
			lg.forget(key, v)
		}
		close(v.done)
	}()
	v.profile, v.err = srv.askLogin(ctx, key, cred, set)
}

func (v *verification) expired(interval time.Duration) bool {
	select {
	case <-v.done:
		return v.err != nil || time.Since(v.profile.at) > interval
	default:
		return false
	}
}

// keep remembers v; the caller holds mu.
func (lg *logins) keep(key pool.Key, v *verification, interval time.Duration) {
	if lg.known == nil {
		lg.known = map[pool.Key]*verification{}
	}
	if len(lg.known) >= maxLogins {
		// Not each time: a scan for every new key would be slow.
		if time.Since(lg.swept) > time.Second {
			lg.swept = time.Now()
			for k, old := range lg.known {
				if old.expired(interval) {
					delete(lg.known, k)
				}
			}
		}
		for k := range lg.known { // still full: any
			if len(lg.known) < maxLogins {
				break
			}
			delete(lg.known, k)
		}
	}
	lg.known[key] = v
}

func (lg *logins) forget(key pool.Key, v *verification) {
	lg.mu.Lock()
	defer lg.mu.Unlock()
	if lg.known[key] == v {
		delete(lg.known, key)
	}
}

// renewDefaults: sessions begin with other settings from now on. Neither what logins
// found nor connections from before are used again, and a new session reads from no
// standby that lacks the change.
func (srv *Server) renewDefaults() {
	srv.defaultsSince.Store(cluster.Now())
	srv.logins.mu.Lock()
	clear(srv.logins.known)
	srv.logins.mu.Unlock()
	srv.pool.Renew()
}

// askLogin logs in to a server and asks it for the defaults that routing depends on.
// The connection goes to the pool, where the client's first query finds it.
func (srv *Server) askLogin(ctx context.Context, key pool.Key, cred auth.Credentials, set *settings) (*profile, error) {
	for {
		n, err := srv.anyNode(ctx, set)
		if err != nil {
			return nil, err
		}
		open, stop := srv.untilLost(ctx, n.ID)
		conn, err := srv.pool.Open(open, n, key, cred)
		stop()
		if err != nil {
			var unreachable *pool.Unreachable
			if errors.As(err, &unreachable) && ctx.Err() == nil {
				// The view will learn of it; try what it says then.
				epoch := srv.cluster.View().Epoch
				srv.cluster.Report(n.ID, err)
				wait, cancel := context.WithTimeout(ctx, time.Second)
				srv.cluster.WaitFor(wait, func(v *cluster.View) bool { return v.Epoch != epoch })
				cancel()
				continue
			}
			return nil, err
		}
		row, err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('default_transaction_read_only'), pg_catalog.current_setting('search_path'), pg_catalog.current_setting('howdah.route', true)")
		if err != nil {
			srv.pool.Discard(conn)
			return nil, fmt.Errorf("ask for transaction defaults: %w", err)
		}
		if len(row) < 2 {
			srv.pool.Discard(conn)
			return nil, fmt.Errorf("ask for transaction defaults: backend %s gave no answer", n.Name)
		}
		p := &profile{params: conn.Defaults, isolation: isolationOf(string(row[0])), readOnly: isTrue(string(row[1])), searchPath: unknownPath, at: time.Now()}
		if len(row) > 2 {
			p.searchPath = string(row[2])
		}
		if len(row) > 3 {
			p.route = string(row[3])
		}
		srv.pool.ReleaseUnused(conn)
		if _, reported := p.params.Get("in_hot_standby"); reported && srv.cluster.View().Primary != cluster.NoNode {
			p.params = p.params.With("in_hot_standby", "off")
		}
		return p, nil
	}
}
