package cluster

import "fmt"

// evidence is what a probe found out about a node's usability. Only
// evidenceRefused is hard: it proves that nobody serves there now.
type evidence uint8

const (
	// evidenceNone: not probed since it was configured.
	evidenceNone evidence = iota
	// evidenceRemoved: no longer configured, so not probed.
	evidenceRemoved
	// evidenceAnswered: it said what it is.
	evidenceAnswered
	// evidenceStarting: the server is alive and takes no sessions (57P03): it starts, stops, or recovers.
	evidenceStarting
	// evidenceRefused: nobody serves there: connection refused, no socket, no route, a broken protocol.
	evidenceRefused
	// evidenceSilent: no answer within the probe's timeout. It may be dead, slow, or out of our reach only.
	evidenceSilent
	// evidenceLogin: the server is alive and lets others in, but not the probe
	// (too many connections, a wrong password …): its role cannot be asked.
	evidenceLogin
)

// observation is the latest that is known of one node.
type observation struct {
	evidence evidence
	// why says it for operators; empty if it answered.
	why string
	// at is when (Now) the probe ended, since when the evidence became what it is.
	at, since int64
	// misses counts the probes in a row that got no answer in time, quiet the last ones of them while which no session
	// got one either.
	misses, quiet int
	// heard: a session got an answer while this probe, which got none, waited; stalled: howdah itself stood still meanwhile, so
	// that it proves nothing.
	heard, stalled bool
	// stopped: the server said that it shuts down (57P01, 57P03) before it was gone.
	stopped bool
	// asked is when (Now) the question was sent to which server is the answer.
	asked int64
	// server is the latest answer, kept when later probes get none; asked 0 is never.
	server server
	// fresh is what the latest connections made anew found, while old ones serve.
	fresh freshness
	// run is Node.Run.
	run uint64
}

// freshness is how a server treats connections made anew.
type freshness struct {
	evidence evidence // evidenceNone is not known
	why      string
	misses   int // silent ones in a row
}

// server is what a server says of itself.
type server struct {
	role     Role
	systemID string // empty if the probing role may not see it
	timeline uint32 // 0 if it may not see it, or cannot know
	// lsn is the insert position of a primary, the replayed one of a standby.
	lsn LSN
	// received is up to where a standby has the log on its disk; at least lsn.
	received       LSN
	receiver       receiver
	maxConnections int
	version        int
	started        string // see startedSQL; "" if it may not see it
	// tellsRole: what it reports as in_hot_standby at a login is what it is.
	tellsRole bool
	// link is the connection on which it said so.
	link *link
	// walPage and walSegment are the sizes of both, in bytes.
	walPage, walSegment uint64
	detail              detail
}

// receiver is a standby's walreceiver (pg_stat_wal_receiver).
type receiver struct {
	// known is false if the probing role may not see it.
	known bool
	// running: there is one; streaming: it gets the log from its upstream.
	running, streaming bool
	// sender is where it receives from, as host:port; empty if that is not known.
	sender string
}

// detail is what changes seldom and is asked seldom.
type detail struct {
	// name is a standby's walreceiver's application_name, as the primary sees it.
	name string
	// frozen: howdah has cut the standby off from its upstream (see freeze).
	frozen bool
	// paused: replay is paused; delayed: recovery_min_apply_delay is set.
	paused, delayed bool
	// sync are the application names of a primary's synchronous standbys, known only if syncKnown. syncAsked:
	// synchronous_standby_names is not empty; quorum is how many of sync must confirm a commit, 0 for all.
	sync                 []string
	quorum               int
	syncKnown, syncAsked bool
	// senders are a primary's connections to standbys, as far as the role may see them.
	senders []sender
	// history says where the server's timeline comes from, oldest first; nil if not known.
	history []fork
}

// sender is a line of pg_stat_replication.
type sender struct {
	name    string // the standby's application_name
	address string // its IP address; empty over a Unix socket
	Sender
}

// fork is the point at which a timeline was left for the next one (a line of a .history file).
type fork struct {
	timeline uint32
	lsn      LSN
}

// merge is what is known after next, when old was known before: an answer
// stands until the next one, unless the node is another or gone.
func merge(old, next observation) observation {
	next.run = old.run
	switch next.evidence {
	case evidenceNone, evidenceRemoved:
		return next
	case evidenceAnswered:
		if next.server.isOther(&old.server) {
			next.run++
		}
	default:
		next.asked, next.server = old.asked, old.server
		next.stopped = next.stopped || old.stopped ||
			next.evidence == evidenceStarting && old.evidence == evidenceAnswered
	}
	if next.fresh = old.fresh; next.evidence == evidenceAnswered && old.evidence != evidenceAnswered {
		next.fresh = freshness{} // the probe has just made a connection itself
	}
	next.since = next.at
	if next.evidence == old.evidence {
		next.since = old.since
	}
	if next.evidence == evidenceSilent {
		next.misses, next.quiet = old.misses, old.quiet
		switch {
		case next.stalled:
		case next.heard:
			next.misses, next.quiet = old.misses+1, 0
		default:
			next.misses, next.quiet = old.misses+1, old.quiet+1
		}
	}
	return next
}

// mute reports whether a node has been silent for long enough to be taken for lost: the probes got no answer so many times in a
// row, and sessions got none from it during all but the first of these. A server that has too much to do answers somebody.
func (o *observation) mute(silences int) bool {
	return o.misses >= silences && o.quiet >= max(silences-1, 1)
}

// silence says how far that is.
func (o *observation) silence(silences int) string {
	if o.misses >= silences {
		return fmt.Sprintf("has been silent %d times, but answers sessions", o.misses)
	}
	return fmt.Sprintf("has been silent %d times of %d", o.misses, silences)
}

// mergeFresh takes in what a connection made anew found.
func mergeFresh(old, next observation) observation {
	f := freshness{evidence: next.evidence, why: next.why}
	if f.evidence == evidenceSilent {
		f.misses = old.fresh.misses + 1
	}
	old.fresh = f
	return old
}
