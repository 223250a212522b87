package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// minGap is the least time between two probes of a node, however many are asked for.
	minGap = 5 * time.Millisecond
	// settleDelay is how long after a sample of the primary the standbys are
	// asked: enough for the log to reach them in a local network, so that
	// the sample counts at once and not one interval later.
	settleDelay = 5 * time.Millisecond
	// closeTimeout bounds the goodbye to a server.
	closeTimeout = 100 * time.Millisecond
)

// prober asks one server again and again. It is owned by one goroutine.
type prober struct {
	id     NodeID
	config *pgconn.Config
	check  configs.ReplicationCheck
	conn   *connection // nil if none is open
	// idle: nothing is written, so probe at the slower interval.
	idle *atomic.Bool
	// told is what sessions tell of the server; stalls counts the probes in a row that end long after their time.
	told   *told
	stalls int
	// wake asks for a probe now, settle for one after settleDelay.
	wake, settle <-chan struct{}
	out          chan<- finding
}

// finding is a prober's message to the writer.
type finding struct {
	from *prober
	observation
	took time.Duration
	// fresh: it is of a connection that was made only to see whether that works.
	fresh bool
}

// run probes until ctx ends.
func (p *prober) run(ctx context.Context) {
	defer p.hangUp()
	var due time.Duration // from now to the next probe
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !p.await(ctx, timer, due) {
			return
		}
		start, asked := time.Now(), Now()
		o := p.probe(ctx)
		o.at = Now()
		p.excuse(&o, asked)
		select {
		case p.out <- finding{from: p, observation: o, took: time.Since(start)}:
		case <-ctx.Done():
			return
		}
		interval := p.interval()
		due = interval - time.Since(start)
		if o.server.role == RoleStandby {
			// It is asked after every sample of the primary; this is for when there is no primary.
			due += interval / 2
		}
		due = max(due, minGap)
	}
}

// interval is from one probe to the next.
func (p *prober) interval() time.Duration {
	if p.idle.Load() {
		return max(p.check.Interval, p.check.IdleInterval)
	}
	return p.check.Interval
}

// await waits until the next probe is due or asked for; false is ctx's end.
func (p *prober) await(ctx context.Context, timer *time.Timer, due time.Duration) bool {
	earliest := time.Now().Add(min(minGap, due))
	timer.Reset(due)
	wake, settle := p.wake, p.settle
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-wake:
			wake, settle = nil, nil
			timer.Reset(time.Until(earliest))
		case <-settle:
			settle = nil
			timer.Reset(max(settleDelay, time.Until(earliest)))
		}
	}
}

// probe asks the server once. If the open connection turns out to be broken, a
// new one is tried before anything is said of the server.
func (p *prober) probe(ctx context.Context) observation {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	stopped := false
	if p.told.other.Swap(false) {
		p.hangUp() // who connects now may find another server than who is connected
	}
	if p.conn != nil {
		o, err := p.ask(ctx)
		if err == nil {
			return o
		}
		p.hangUp()
		if ctx.Err() != nil {
			return p.failed(ctx, err)
		}
		stopped = saysGoodbye(err)
	}
	conn, err := connect(ctx, p.config)
	if err != nil {
		o := p.failed(ctx, err)
		o.stopped = stopped
		return o
	}
	p.conn = conn
	o, err := p.ask(ctx)
	if err != nil {
		p.hangUp()
		return p.failed(ctx, err)
	}
	return o
}

// maxStalls is how many probes in a row may be void because howdah itself stood still.
const maxStalls = 5

// excuse notes what else than the server's death may be behind a silence.
func (p *prober) excuse(o *observation, asked int64) {
	late := o.at-asked > int64(p.check.Timeout+max(p.check.Timeout/2, minStall))
	if p.stalls++; !late {
		p.stalls = 0
	}
	if o.evidence == evidenceSilent {
		o.heard = p.told.heard.Load() >= asked
		o.stalled = late && p.stalls <= maxStalls
	}
}

// minStall is the least that a probe must be late for howdah to have stood still.
const minStall = 100 * time.Millisecond

func (p *prober) ask(ctx context.Context) (observation, error) {
	asked := Now() // before the question is sent: see sample
	s, err := p.conn.status(ctx)
	return observation{evidence: evidenceAnswered, asked: asked, server: s}, err
}

func (p *prober) failed(ctx context.Context, err error) observation {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return observation{evidence: evidenceSilent, why: "no answer within " + p.check.Timeout.String()}
	}
	e, why := judge(err)
	return observation{evidence: e, why: why}
}

// saysGoodbye reports whether a server's last words were that an operator shuts it down, or
// ends just this session. The processes of a postmaster that was killed use the same code, but from another place.
func saysGoodbye(err error) bool {
	var fromServer *pgconn.PgError
	return errors.As(err, &fromServer) && fromServer.Code == "57P01" && fromServer.Routine == "ProcessInterrupts"
}

// runFresh tries a new connection every replication_check.fresh_interval until ctx ends, and asks there who
// answers. It has a goroutine of its own: a server that hangs in logins must not delay the probes.
func (p *prober) runFresh(ctx context.Context) {
	if p.check.FreshInterval <= 0 {
		return
	}
	ticker := time.NewTicker(p.check.FreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		o := p.probeFresh(ctx)
		select {
		case p.out <- finding{from: p, observation: o, fresh: true}:
		case <-ctx.Done():
			return
		}
	}
}

// probeFresh connects and logs in once, and asks who answers, as far as there is time for that: what it is to find out is
// whether logins work.
func (p *prober) probeFresh(ctx context.Context) observation {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, p.config)
	if err != nil {
		return p.failed(ctx, err)
	}
	o := observation{evidence: evidenceAnswered}
	c := &connection{conn: conn, brief: true}
	defer c.close()
	if c.prepare(ctx) == nil {
		if s, err := c.status(ctx); err == nil {
			o.server = s
		}
	}
	return o
}

func (p *prober) hangUp() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
}
