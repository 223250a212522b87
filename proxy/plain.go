package proxy

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
)

// plainRelations knows which relations of a database are plain: reading one reads
// nothing else, and writing one writes nothing else. It is read from the catalogs
// on the primary when a session first asks (routing.consistency: cluster), and
// again when it is old. Definitions that change through howdah end it at once:
// version grows before the client learns that its change is done. Those that change
// otherwise are noticed after plainLifetime.
type plainRelations struct {
	version atomic.Uint64
	known   atomic.Pointer[plainKnown]
	loading atomic.Bool
	// after is when (cluster.Now) it may be loaded next.
	after atomic.Int64
}

// plainKnown is what was loaded. It is immutable.
type plainKnown struct {
	version uint64
	at      int64 // when (cluster.Now) it was asked for
	names   map[string]bool
}

const (
	// plainLifetime is how long what was loaded counts. It is renewed at half of it.
	plainLifetime = int64(20 * time.Second)
	// plainPause is the least time between two loads of one database.
	plainPause = int64(time.Second)
	// plainTimeout bounds one load.
	plainTimeout = 10 * time.Second
	// maxPlainDatabases bounds the databases of which this is known.
	maxPlainDatabases = 10_000
)

// plainSQL lists the plain relations, each name after its length in bytes. A name is
// plain if all relations of that name are ordinary tables without rules, triggers,
// row security, inheritance, foreign keys that write, and functions of users in
// defaults, conditions or indexes. In a database with users' own operators or
// casts none is, as these may read tables.
const plainSQL = `SELECT coalesce(string_agg(octet_length(relname) || ':' || relname, ''), '') FROM (
	SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind NOT IN ('i', 'I', 't', 'c') AND n.nspname !~ '^pg_(toast|temp|toast_temp)'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprcode::oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'))
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.castfunc >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_cast'::regclass AND d.objid = k.oid AND d.deptype = 'e'))
	GROUP BY c.relname HAVING bool_and(c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname <> 'pg_catalog'
		AND NOT c.relispartition AND NOT c.relrowsecurity AND NOT c.relhasrules
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid
			AND (f.confupdtype NOT IN ('a', 'r') OR f.confdeltype NOT IN ('a', 'r')))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
			WHERE a.attrelid = c.oid AND a.attnum > 0 AND y.typtype = 'd')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid >= 16384
			AND (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid IN (SELECT a.oid FROM pg_catalog.pg_attrdef a WHERE a.adrelid = c.oid)
			OR d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid IN (SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid)
			OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid))))) plain`

// plains are all databases' plain relations.
type plains struct {
	mu    sync.Mutex
	known map[string]*plainRelations
}

// of returns a database's, nil if there are too many databases: then none is known to be plain.
func (p *plains) of(database string) *plainRelations {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.known[database]
	if r == nil && len(p.known) < maxPlainDatabases {
		if p.known == nil {
			p.known = map[string]*plainRelations{}
		}
		r = &plainRelations{}
		p.known[database] = r
	}
	return r
}

// now is the version of the definitions.
func (p *plainRelations) now() uint64 {
	if p == nil {
		return 0
	}
	return p.version.Load()
}

// defined says that definitions may have changed.
func (p *plainRelations) defined() {
	if p != nil {
		p.version.Add(1)
	}
}

// current returns the plain relations, nil if they are not known now. wanted says that
// the caller should have them loaded.
func (p *plainRelations) current() (names map[string]bool, wanted bool) {
	if p == nil {
		return nil, false
	}
	k, now := p.known.Load(), cluster.Now()
	if k == nil || k.version != p.version.Load() || now-k.at > plainLifetime {
		return nil, now >= p.after.Load()
	}
	return k.names, now-k.at > plainLifetime/2 && now >= p.after.Load()
}

// plainLoader is what a load needs of the session that started it.
type plainLoader struct {
	pool *pool.Pool
	log  *slog.Logger
	node *cluster.Node // the primary
	key  pool.Key
	cred auth.Credentials
}

// load asks the primary. Of several loads at once one does it.
func (p *plainRelations) load(ctx context.Context, l plainLoader) {
	if !p.loading.CompareAndSwap(false, true) {
		return
	}
	defer p.loading.Store(false)
	p.after.Store(cluster.Now() + plainPause)
	k := &plainKnown{version: p.version.Load(), at: cluster.Now()}
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	names, err := l.ask(ctx)
	if err != nil {
		l.log.Debug("plain relations are not known", "database", l.key.Database, "error", err)
		return
	}
	k.names = names
	p.known.Store(k) // of no use if version has grown meanwhile
}

func (l *plainLoader) ask(ctx context.Context) (map[string]bool, error) {
	conn, err := l.pool.Acquire(ctx, l.node, l.key, l.cred, nil)
	if err != nil {
		return nil, err
	}
	row, err := conn.QueryRow(ctx, plainSQL)
	if err != nil {
		l.pool.Discard(conn)
		return nil, err
	}
	l.pool.Release(conn)
	if len(row) != 1 {
		return nil, nil
	}
	return parsePlain(string(row[0])), nil
}

// parsePlain reads the answer to plainSQL; what is malformed ends the list.
func parsePlain(text string) map[string]bool {
	names := map[string]bool{}
	for {
		length, rest, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(length)
		if !ok || err != nil || n < 0 || n > len(rest) {
			return names
		}
		names[rest[:n]] = true
		text = rest[n:]
	}
}

// loadPlain has the plain relations loaded in the background.
func (s *session) loadPlain() {
	n := s.srv.cluster.View().Node(s.srv.cluster.View().Primary)
	if n == nil || s.writes.relations.loading.Load() {
		return
	}
	l := plainLoader{pool: s.srv.pool, log: s.log, node: n, key: s.key, cred: s.cred}
	p := s.writes.relations
	s.srv.sessions.Go(func() { p.load(s.srv.context, l) }) // ends with the server's context, or after plainTimeout
}

// mayDefine is whether a unit that is no read may change definitions.
func mayDefine(v *parser.Verdict) bool {
	if v == nil || v.Access == parser.AccessUnknown || len(v.Statements) == 0 {
		return true
	}
	for i := range v.Statements {
		st := &v.Statements[i]
		switch st.Kind {
		case parser.KindDDL, parser.KindCall, parser.KindUnknown, parser.KindExecute, parser.KindFetch, parser.KindTwoPhase:
			return true
		}
		if st.CallsUnknown {
			return true
		}
	}
	return false
}
