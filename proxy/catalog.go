package proxy

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

const (
	// loadTimeout bounds one reading of a database's catalogs.
	loadTimeout = 30 * time.Second
	// firstLoadWait is how long a login waits for what its database's names mean, so
	// that its first reads need not go to the primary. If the first attempt fails it
	// waits no longer.
	firstLoadWait = 5 * time.Second
	// retryLoad is the pause after a reading that failed.
	retryLoad = time.Second
	// loadsAtOnce bounds howdah's connections for it.
	loadsAtOnce = 2
	// maxEnvs bounds the search paths remembered of one database.
	maxEnvs = 1000
)

// catalogs keep what is known of the databases in use.
type catalogs struct {
	srv     *Server
	slots   chan struct{}
	running sync.WaitGroup // the databases' keepers

	mu    sync.Mutex
	known map[string]*database
}

// database is what is known of one database, kept up to date by a goroutine of
// its own (keep) as long as sessions use it.
//
// What current says is never younger than what a standby shows that a session
// may read from, and never older than the definitions that changed through howdah:
//
//   - A definition changes through howdah: invalidate, or doubt if it concerns some names only, before the client
//     learns that it has changed. From then on nothing that the change could concern is a
//     read, for any session, until the catalogs were read again, after the
//     change. A session that then uses the new knowledge takes its age as its horizon's floor
//     (session.environment), so that a standby which lags behind the change does not
//     serve it: there the old definition would still be in effect.
//   - It changes otherwise: until the next look (catalog.ttl) the old knowledge is
//     used. A read that has become a write is refused by the standby, and healed.
//   - In the transaction that changes it, all is the primary's already.
type database struct {
	name     string
	catalogs *catalogs
	current  atomic.Pointer[knowing] // read by sessions, changed under mu
	wake     chan struct{}           // has room for one
	sessions int                     // guarded by catalogs.mu

	// definitions counts the times that names may have come to mean something else, from 1.
	definitions atomic.Uint64

	mu sync.Mutex
	// changed counts invalidations and doubts. A reading that began before an invalidation is of no
	// use; what was doubted since a reading began is in doubt after it, too.
	changed     uint64
	invalidated uint64            // changed at the last invalidation
	doubted     map[string]uint64 // changed when a name was doubted last
	// made are definitions that no reading has shown yet, and changed when they were made last.
	made map[*parser.Definition]uint64
	// attached are tables that are read through others, and uncovered is changed when functions may have gone that hid
	// others, both since the catalogs were not known.
	attached  map[string]uint64
	uncovered uint64

	// from is the node that was asked last; noteFailover compares it.
	from atomic.Int64

	// The rest is the keeper's: the latest Knowledge, the fingerprint of its facts,
	// and when (cluster.Now) they were seen to have changed, 0 if they never did.
	last        *parser.Knowledge
	fingerprint string
	since       int64
	complained  bool
	// overtaken counts readings in a row that met what was dropped meanwhile.
	overtaken int
	// judgedBy, readForeign and size are the settings that last was made with.
	judgedBy    *parser.Rules
	readForeign bool
	size        configs.ByteSize
}

// knowing is what is known of a database at some time. It is replaced whole.
type knowing struct {
	// knowledge is nil while the catalogs are being read (waiting) and if they cannot be.
	knowledge *parser.Knowledge
	waiting   bool
	// doubtful are names of which knowledge may not be right any more.
	doubtful map[string]bool
	// made are names of functions that knowledge has not yet, and that are harmless unless doubtful.
	made  map[string]bool
	rules *parser.Rules
	// since is when (cluster.Now) the definitions were as knowledge has them at the
	// latest, if they have ever changed; else 0.
	since int64
	// ready is closed when nobody needs to wait for what comes after this: when
	// it has come, or an attempt has failed. It is nil if nothing is to come, and
	// guarded by the database's mu.
	ready chan struct{}

	mu   sync.Mutex
	envs map[string]*parser.Env // by search path
}

func newCatalogs(srv *Server) *catalogs {
	return &catalogs{srv: srv, slots: make(chan struct{}, loadsAtOnce), known: map[string]*database{}}
}

// attach returns the database for a session, which must detach from it.
func (c *catalogs) attach(name string) *database {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.known[name]
	if d == nil {
		d = &database{name: name, catalogs: c, wake: make(chan struct{}, 1)}
		d.definitions.Store(1)
		d.from.Store(noNodeYet)
		d.current.Store(firstKnowing(c.srv.settings.Load()))
		c.known[name] = d
		c.running.Add(1)
		go func() { // ends when no session has used the database for a while, or with the server
			defer c.running.Done()
			d.keep(c.srv.context)
		}()
	}
	d.sessions++
	return d
}

func (c *catalogs) detach(d *database) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.sessions--
}

// abandoned removes a database that no session uses.
func (c *catalogs) abandoned(d *database) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.sessions > 0 {
		return false
	}
	delete(c.known, d.name)
	return true
}

// reconfigured makes all databases obey new settings.
func (c *catalogs) reconfigured(set *settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.known {
		d.reconfigured(set)
	}
}

// remade drops what is known of databases under whose names there may be others now.
func (c *catalogs) remade(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		if d := c.known[name]; d != nil {
			d.invalidate()
		}
	}
}

// waitFor is a knowing that waits.
func waitFor(rules *parser.Rules) *knowing {
	return &knowing{waiting: true, rules: rules, ready: make(chan struct{})}
}

// reconfigured is invalidate with other rules.
func (d *database) reconfigured(set *settings) {
	d.mu.Lock()
	d.forget()
	now := d.current.Load()
	d.current.Store(firstKnowing(set))
	now.release()
	d.mu.Unlock()
	d.wakeUp()
}

func (d *database) wakeUp() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// firstKnowing is what is known before the catalogs have been read.
func firstKnowing(set *settings) *knowing {
	if set.catalog.Size == 0 {
		return &knowing{rules: set.rules}
	}
	return waitFor(set.rules)
}

// await waits a short while for the first knowledge.
func (d *database) await(ctx context.Context) {
	now := d.current.Load()
	if now.ready == nil {
		return
	}
	timer := time.NewTimer(firstLoadWait)
	defer timer.Stop()
	select {
	case <-now.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// keep reads the catalogs when they may have changed.
func (d *database) keep(ctx context.Context) {
	for {
		began := time.Now()
		pause := d.guardedRefresh(ctx)
		// Changes that come meanwhile are taken in by one reading. While nothing is known, more is lost by waiting.
		if !d.current.Load().waiting && !sleep(ctx, min(time.Since(began)/2, time.Second)) {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.wake:
			timer.Stop()
		case <-timer.C:
			if d.catalogs.abandoned(d) {
				return
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// guardedRefresh is refresh, but a defect of howdah costs no more than the knowledge.
func (d *database) guardedRefresh(ctx context.Context) (pause time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			d.catalogs.srv.log.Error("reading a catalog ended by a defect of howdah", "database", d.name, "panic", p, "stack", string(debug.Stack()))
			pause = d.catalogs.srv.settings.Load().catalog.TTL
		}
	}()
	return d.refresh(ctx)
}

// noteFailover makes the keepers look again when there is another primary: it may
// have less than the one before.
func (c *catalogs) noteFailover() {
	primary := c.srv.cluster.View().Primary
	if primary == cluster.NoNode {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.known {
		if from := d.from.Load(); from != noNodeYet && from != int64(primary) {
			d.wakeUp()
		}
	}
}

// noNodeYet is database.from before a node was asked; not a NodeID.
const noNodeYet = -2

// source is the node to ask. Only for the first time a standby will do: later
// it might not have yet what was changed on the primary.
func (d *database) source(ctx context.Context, set *settings, first bool) (*cluster.Node, error) {
	if first {
		return d.catalogs.srv.anyNode(ctx, set)
	}
	view := d.catalogs.srv.cluster.View()
	if n := view.Node(view.Primary); n != nil {
		return n, nil
	}
	return nil, errNoPrimary
}

var errNoPrimary = errors.New("there is no primary to ask")

// refresh reads the catalogs, if they have changed, and returns when to look again.
func (d *database) refresh(ctx context.Context) time.Duration {
	set := d.catalogs.srv.settings.Load()
	d.mu.Lock()
	changed := d.changed
	d.mu.Unlock()
	if set.catalog.Size == 0 {
		d.settle(changed, &knowing{rules: set.rules})
		return set.catalog.TTL
	}
	if d.judgedBy != set.rules || d.readForeign != set.readForeign() || d.size != set.catalog.Size {
		d.fingerprint = "" // the same facts mean something else now
	}
	facts, err := d.load(ctx, set, d.last == nil && changed == 0)
	if err == nil && facts != nil {
		err = d.learn(facts, changed, set)
	}
	if err != nil {
		return d.failed(err, facts, changed, set)
	}
	d.overtaken = 0
	d.complained = d.complained && d.last == nil // of too much, nothing has changed
	if !d.settle(changed, &knowing{knowledge: d.last, rules: set.rules, since: d.since}) {
		return 0
	}
	return set.catalog.TTL
}

// learn takes in facts that are new.
func (d *database) learn(facts *catalog.Facts, changed uint64, set *settings) error {
	k := parser.NewKnowledge(facts, parser.KnowledgeOptions{Rules: set.rules, Before: d.last, ReadForeign: set.readForeign()})
	if k.Bytes() > int64(set.catalog.Size) {
		return catalog.ErrTooLarge
	}
	if d.last != nil || changed > 0 {
		d.since = cluster.Now()
		d.definitions.Add(1)
	}
	d.judgedBy, d.readForeign, d.size = set.rules, set.readForeign(), set.catalog.Size
	d.last = k
	d.fingerprint = facts.Fingerprint
	d.catalogs.srv.log.Debug("catalog read", "database", d.name, "bytes", d.last.Bytes(),
		"functions", len(facts.Functions), "relations", len(facts.Relations))
	return nil
}

// release lets go on who waits for what comes after k. The caller holds the database's mu.
func (k *knowing) release() {
	if k.ready == nil {
		return
	}
	select {
	case <-k.ready:
	default:
		close(k.ready)
	}
}

// load asks a server; nil facts are those that are known.
func (d *database) load(ctx context.Context, set *settings, first bool) (*catalog.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	n, err := d.source(ctx, set, first)
	if err != nil {
		return nil, err
	}
	select {
	case d.catalogs.slots <- struct{}{}:
		defer func() { <-d.catalogs.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	asker, err := cluster.NewAsker(ctx, n, set.check, d.name, int64(set.catalog.Size))
	if err != nil {
		return nil, err
	}
	defer asker.Close()
	d.from.Store(int64(n.ID))
	return catalog.Load(ctx, asker, d.fingerprint, int64(set.catalog.Size))
}

// environment returns what a session with the search path resolves names with.
func (k *knowing) environment(key string, path []string, anyPath bool) *parser.Env {
	k.mu.Lock()
	defer k.mu.Unlock()
	if env := k.envs[key]; env != nil {
		return env
	}
	if k.envs == nil || len(k.envs) >= maxEnvs {
		k.envs = map[string]*parser.Env{}
	}
	env := parser.NewEnv(parser.Env{Rules: k.rules, Knowledge: k.knowledge, Waiting: k.waiting, Doubtful: k.doubtful, Made: k.made, SearchPath: path, AnyPath: anyPath})
	k.envs[key] = env
	return env
}
