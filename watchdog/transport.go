package watchdog

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// leaseTransport is raft's way to the other members. It puts right what a lease needs
// otherwise than raft does it (all about hashicorp/raft 1.7.3):
//
//   - Raft notes a contact when an answer is read, and after answers that refuse, too. Here
//     the time of the sending is taken, and only for what succeeded in the same term.
//   - Heartbeats run beside the main loop, so a leader whose disk hangs stays one. Silence
//     ends them.
//   - A restarted voter has forgotten its leader, and a vote that a leader asked for in a
//     handover bypasses the check whether there is one. The guard is asked before every
//     vote, on both ends, and again at the moment that the answer goes out.
//   - TimeoutNow makes a member campaign like that, even if it lay in a buffer for
//     long. It is sent only after a lease was given up, and a member that leads by then takes none.
//   - Pipelined replication can wedge, and would bypass AppendEntries.
type leaseTransport struct {
	raft.Transport
	preVote raft.WithPreVote
	now     func() time.Duration
	acked   func(peer raft.ServerID, term uint64, sent time.Duration)
	rpcs    chan raft.RPC
	done    chan struct{}
	once    sync.Once

	// heard gets who sent a request, before raft does.
	heard func(peer raft.ServerID)

	silent  atomic.Bool
	yielded atomic.Bool // leadership may be given away
	defers  atomic.Bool // another member should lead (core.Machine.Defers)
	// reluctance is how much longer than others this member waits before it campaigns: a witness
	// leads only if nobody else can. It votes as soon as any.
	reluctance time.Duration
	// joined says whether the cluster has this server, and votes whether it has a vote. Raft
	// grants votes without asking itself either; a server whose directory was lost would
	// vote under its old name, as the others know only its address.
	joined, votes func() bool
	// leads, if there, says whether this server leads. TCP delivers what a former leader sent into a cut of the network
	// when that is over, and raft would have a leader that is told to campaign step down.
	leads func() bool

	mu    sync.Mutex
	guard *core.Guard
	dead  core.Certificate // the last that was heard
	// excused is until when this member does not campaign, because it was too busy to
	// hear a leader.
	excused time.Duration
}

// errSilent is why a leader that must not lead any more sends nothing.
var errSilent = errors.New("this member stopped sending heartbeats, as it cannot commit")

// wire is a transport of raft's, with all that raft may ask for.
type wire interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

func newLeaseTransport(inner wire, timing core.Timing, stored uint64, now func() time.Duration, acked func(raft.ServerID, uint64, time.Duration)) *leaseTransport {
	t := &leaseTransport{Transport: inner, preVote: inner, now: now, acked: acked, rpcs: make(chan raft.RPC), done: make(chan struct{}), guard: core.NewGuard(timing, now(), stored)}
	go t.filter(inner.Consumer()) // ended by Close
	return t
}

// Close ends the transport.
func (t *leaseTransport) Close() error {
	t.once.Do(func() { close(t.done) })
	return t.Transport.(raft.WithClose).Close()
}

// Consumer is where raft takes requests from.
func (t *leaseTransport) Consumer() <-chan raft.RPC { return t.rpcs }

// filter passes requests to raft, and its answers back through the guard.
func (t *leaseTransport) filter(in <-chan raft.RPC) {
	for {
		select {
		case rpc := <-in:
			if from, ok := rpc.Command.(raft.WithRPCHeader); ok && t.heard != nil {
				t.heard(raft.ServerID(from.GetRPCHeader().ID))
			}
			if rpc, ok := t.admit(rpc); ok {
				select {
				case t.rpcs <- rpc:
				case <-t.done:
					return
				}
			}
		case <-t.done:
			return
		}
	}
}

// SetHeartbeatHandler does nothing: heartbeats wait for raft's main loop like anything
// else. Raft's short way for them runs beside the loop, and acknowledges for a member whose
// disk has stopped it. Worse, it can tell a candidate that waits for its disk of a leader, which
// it then remembers for as long as it is a candidate: for ever, if its log is too short to win
// and it refuses everybody else, "since we have a leader".
func (t *leaseTransport) SetHeartbeatHandler(func(raft.RPC)) {}

// admit refuses a vote that the guard forbids, and has the answer to anything else checked
// when it comes.
func (t *leaseTransport) admit(rpc raft.RPC) (raft.RPC, bool) {
	err := error(nil)
	switch rpc.Command.(type) {
	case *raft.RequestVoteRequest, *raft.RequestPreVoteRequest, *raft.TimeoutNowRequest:
		if err = t.mayVote(); err == nil && !t.votes() {
			err = errors.New("this server has no vote")
		}
		if _, ok := rpc.Command.(*raft.TimeoutNowRequest); ok && err == nil && t.leads != nil && t.leads() {
			err = errors.New("this server leads already")
		}
	}
	if !t.joined() {
		err = errors.New("this server is not in the cluster yet; an earlier one at its address is gone")
	}
	if err != nil {
		if rpc.Reader != nil {
			err = errors.Join(err, drain(rpc.Reader))
		}
		rpc.Respond(refusal(rpc.Command), err)
		return rpc, false
	}
	answers := make(chan raft.RPCResponse, 1)
	out := rpc.RespChan
	rpc.RespChan = answers
	go func() { // ends with raft's answer, or with Close
		select {
		case answer := <-answers:
			out <- t.check(rpc.Command, answer)
		case <-t.done:
		}
	}()
	return rpc, true
}

// refusal is an answer of the right type; the error beside it is what counts.
func refusal(command any) any {
	switch command.(type) {
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{}
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{}
	case *raft.AppendEntriesRequest:
		return &raft.AppendEntriesResponse{}
	case *raft.InstallSnapshotRequest:
		return &raft.InstallSnapshotResponse{}
	}
	return &raft.TimeoutNowResponse{}
}

// drain reads a snapshot that is not wanted, so that the connection can be used further.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, io.LimitReader(r, maxSnapshot))
	return err
}

// check lets raft's answer out, or a refusal. From here on the guard goes by it.
func (t *leaseTransport) check(command any, answer raft.RPCResponse) raft.RPCResponse {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	switch r := answer.Response.(type) {
	case *raft.RequestVoteResponse:
		if r.Granted && answer.Error == nil {
			err = t.guard.Grant(t.now(), r.Term)
		}
	case *raft.AppendEntriesResponse:
		if r.Success && answer.Error == nil {
			err = t.guard.Acknowledge(t.now(), r.Term, senderOf(command))
		}
	}
	if err != nil {
		return raft.RPCResponse{Response: refusal(command), Error: err}
	}
	return answer
}

func (t *leaseTransport) mayVote() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.guard.MayVote(t.now())
}

// mayCampaign is nil if this member may ask for votes.
func (t *leaseTransport) mayCampaign() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := t.now() - t.guard.Contact(); since < t.reluctance {
		return fmt.Errorf("a witness leads only if nobody else does: there was a leader %s ago", since)
	}
	if t.defers.Load() {
		return errors.New("the other member has the lock of the address, and should lead")
	}
	if t.now() < t.excused && t.guard.Dead(t.dead) != nil {
		return errors.New("it was too busy to hear a leader, and listens first")
	}
	return t.guard.MayVote(t.now())
}

// late says that this process got no processor for a while. It may have missed heartbeats, so
// it listens for another election timeout before it campaigns; but not again and again.
func (t *leaseTransport) late(election time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.now(); now > t.excused+3*election {
		t.excused = now + election
	}
}

// contact is when an append was last acknowledged.
func (t *leaseTransport) contact() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.guard.Contact()
}

// yieldedBy takes the word of the leader of term that it holds no lease any more. So it was heard, however busy this member was.
func (t *leaseTransport) yieldedBy(term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.guard.Yielded(term)
	t.excused = 0
}

// AppendEntries sends, and reports what was acknowledged with the time of the sending.
func (t *leaseTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.silent.Load() {
		return errSilent
	}
	sent := t.now()
	var answer raft.AppendEntriesResponse // never what an earlier answer left behind
	if err := t.Transport.AppendEntries(id, target, args, &answer); err != nil {
		return err
	}
	*resp = answer
	if answer.Success && answer.Term == args.Term {
		t.acked(id, args.Term, sent)
	}
	return nil
}

// AppendEntriesPipeline is not there, so that all goes through AppendEntries.
func (t *leaseTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// RequestVote asks for a vote, unless this member may not even give its own.
func (t *leaseTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if err := t.mayCampaign(); err != nil {
		return fmt.Errorf("ask for no vote: %w", err)
	}
	return again(func() error { return t.Transport.RequestVote(id, target, args, resp) })
}

// RequestPreVote asks whether there would be a vote.
func (t *leaseTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if err := t.mayCampaign(); err != nil {
		return fmt.Errorf("ask for no vote: %w", err)
	}
	return again(func() error { return t.preVote.RequestPreVote(id, target, args, resp) })
}

// TimeoutNow gives leadership away, once the lease was.
func (t *leaseTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	if !t.yielded.Load() {
		return errors.New("leadership is not given away before the lease")
	}
	return again(func() error { return t.Transport.TimeoutNow(id, target, args, resp) })
}

// again asks once more after each kept connection that turned out to be closed: the other member was started anew since it was used. Raft
// would take that for an answer, and an election would be lost. What is asked here may be asked twice. There may be as many as raft keeps, and
// the spare one.
func again(ask func() error) (err error) {
	for range raftConns + 2 {
		err = ask()
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return err
		}
	}
	return err
}

// InstallSnapshot is raft's own.
func (t *leaseTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.silent.Load() {
		return errSilent
	}
	return t.Transport.InstallSnapshot(id, target, args, resp, data)
}

// senderOf is who sent a request, as raft knows it; its transport has asked for a member's certificate.
func senderOf(command any) string {
	if c, ok := command.(raft.WithRPCHeader); ok {
		return string(c.GetRPCHeader().ID)
	}
	return ""
}
