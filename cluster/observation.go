package cluster

// evidence is what a probe found out about a node's usability.
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
	// evidenceSilent: no answer within the probe's timeout.
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
	// asked is when (Now) the question was sent to which server is the answer.
	asked int64
	// server is the latest answer, kept when later probes get none; asked 0 is never.
	server server
}

// server is what a server says of itself.
type server struct {
	role     Role
	systemID string // empty if the probing role may not see it
	timeline uint32 // 0 if it may not see it, or cannot know
	// lsn is the insert position of a primary, the replayed one of a standby.
	lsn            LSN
	maxConnections int
	version        int
	// walPage and walSegment are the sizes of both, in bytes.
	walPage, walSegment uint64
}

// merge is what is known after next, when old was known before: an answer
// stands until the next one, unless the node is another or gone.
func merge(old, next observation) observation {
	switch next.evidence {
	case evidenceNone, evidenceRemoved, evidenceAnswered:
	default:
		next.asked, next.server = old.asked, old.server
	}
	return next
}
