package watchdog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// ends are two members' transports, joined in memory, with clocks that the test sets.
type ends struct {
	a, b   *leaseTransport
	now    time.Duration
	acked  []time.Duration
	answer func(any) any // what b's raft answers
	delay  func()        // what happens while the answer is on its way
}

func newEnds(t *testing.T) *ends {
	e := &ends{now: time.Hour, delay: func() {}}
	timing := core.Profiles()["lan"]
	clock := func() time.Duration { return e.now }
	addrA, innerA := raft.NewInmemTransport("a")
	addrB, innerB := raft.NewInmemTransport("b")
	innerA.Connect(addrB, innerB)
	innerB.Connect(addrA, innerA)
	yes := func() bool { return true }
	e.a = newLeaseTransport(innerA, timing, 0, clock, func(_ raft.ServerID, _ uint64, sent time.Duration) { e.acked = append(e.acked, sent) })
	e.b = newLeaseTransport(innerB, timing, 0, clock, func(raft.ServerID, uint64, time.Duration) {})
	e.a.joined, e.a.votes, e.b.joined, e.b.votes = yes, yes, yes, yes
	e.now += time.Hour // both started long ago
	done := make(chan struct{})
	go func() { // ended by the cleanup
		for {
			select {
			case rpc := <-e.b.Consumer():
				a := e.answer(rpc.Command)
				e.delay()
				rpc.Respond(a, nil)
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		if err := errors.Join(e.a.Close(), e.b.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *ends) appendTerm(term, answered uint64, success bool) error {
	e.answer = func(any) any { return &raft.AppendEntriesResponse{Term: answered, Success: success} }
	return e.a.AppendEntries("b", "b", &raft.AppendEntriesRequest{Term: term}, &raft.AppendEntriesResponse{})
}

func (e *ends) askVote(term uint64, transfer bool) (bool, error) {
	e.answer = func(any) any { return &raft.RequestVoteResponse{Term: term, Granted: true} }
	var r raft.RequestVoteResponse
	err := e.a.RequestVote("b", "b", &raft.RequestVoteRequest{Term: term, LeadershipTransfer: transfer}, &r)
	return r.Granted, err
}

// The lease counts from the sending, and only for what succeeded in the term that it was sent in.
func TestAcknowledgementsCountFromTheSending(t *testing.T) {
	e := newEnds(t)
	sent := e.now
	e.delay = func() { e.now += 10 * time.Second }
	if err := e.appendTerm(3, 3, true); err != nil || len(e.acked) != 1 || e.acked[0] != sent {
		t.Errorf("got %v %v, want an acknowledgement of %s", err, e.acked, sent)
	}
	for _, refused := range []struct {
		term    uint64
		success bool
	}{{3, false}, {4, true}} {
		if err := e.appendTerm(3, refused.term, refused.success); err != nil || len(e.acked) != 1 {
			t.Errorf("%+v: got %v %v", refused, err, e.acked)
		}
	}
	e.a.silent.Store(true)
	if err := e.appendTerm(3, 3, true); !errors.Is(err, errSilent) {
		t.Errorf("got %v from a leader that must be silent", err)
	}
}

// Whoever acknowledged an append votes for nobody for an election timeout, not in a handover
// either, unless the leader said that its lease is over.
func TestVotesWaitForTheLease(t *testing.T) {
	e := newEnds(t)
	if err := e.appendTerm(3, 3, true); err != nil {
		t.Fatal(err)
	}
	for _, transfer := range []bool{false, true} {
		if granted, err := e.askVote(4, transfer); err == nil || granted {
			t.Errorf("transfer %v: a vote was given", transfer)
		}
	}
	e.b.yieldedBy(3)
	if granted, err := e.askVote(4, true); err != nil || !granted {
		t.Errorf("got %v %v after the lease was given up", granted, err)
	}
	// A vote that was given ends what is acknowledged to earlier terms.
	if err := e.appendTerm(3, 3, true); err == nil {
		t.Error("an earlier term was acknowledged after a vote")
	}
	if err := e.appendTerm(4, 4, true); err != nil {
		t.Error(err)
	}
	e.now += 599 * time.Millisecond
	if granted, _ := e.askVote(5, false); granted {
		t.Error("a vote was given too early")
	}
	e.now += time.Millisecond
	if granted, err := e.askVote(5, false); err != nil || !granted {
		t.Errorf("got %v %v after an election timeout", granted, err)
	}
}

// A certificate lets a voter vote at once, if it is about the leader and the term that were acknowledged last, and only until
// another leader was.
func TestADeadLeaderIsNotWaitedFor(t *testing.T) {
	e := newEnds(t)
	appendOf := func(leader string, term uint64) {
		t.Helper()
		e.answer = func(any) any { return &raft.AppendEntriesResponse{Term: term, Success: true} }
		args := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ID: []byte(leader)}, Term: term}
		if err := e.a.AppendEntries("b", "b", args, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	appendOf("p1.a", 3)
	for _, dead := range []core.Certificate{{Server: "p2.a", Term: 3}, {Server: "p1.b", Term: 3}, {Server: "p1.a", Term: 2}, {Server: "p1.a", Term: 4}, {Term: 3}} {
		if fresh, err := e.b.died(dead); err == nil || fresh {
			t.Errorf("%v was believed", dead)
		}
	}
	if granted, _ := e.askVote(4, true); granted {
		t.Fatal("a vote was given to another one than the living leader")
	}
	e.b.excused = e.now + time.Hour
	for i, want := range []bool{true, false} {
		if fresh, err := e.b.died(core.Certificate{Server: "p1.a", Term: 3}); err != nil || fresh != want {
			t.Errorf("time %d: got %v %v", i+1, fresh, err)
		}
	}
	if err := e.b.mayCampaign(); err != nil {
		t.Error(err)
	}
	if granted, err := e.askVote(4, true); err != nil || !granted {
		t.Fatalf("got %v %v after the leader's death", granted, err)
	}
	appendOf("p1.a", 4) // the same member, started again, and elected
	if fresh, err := e.b.died(core.Certificate{Server: "p1.a", Term: 3}); err == nil || fresh {
		t.Error("the death of an earlier process was taken for that of a later one")
	}
	if granted, _ := e.askVote(5, true); granted {
		t.Error("a vote was given to another one than the leader that was elected since")
	}
}

// What was kept of a connection to a member that was started anew since does not cost a vote.
func TestAVoteIsAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		errs []error
		want int
	}{
		{[]error{io.EOF, syscall.ECONNRESET, fmt.Errorf("write: %w", syscall.EPIPE), nil}, 4},
		{[]error{io.EOF, errors.New("it refuses")}, 2},
		{[]error{os.ErrDeadlineExceeded}, 1},
		{[]error{io.EOF, io.EOF, io.EOF, io.EOF, io.EOF, io.EOF}, raftConns + 2},
	} {
		asked := 0
		err := again(func() error { asked++; return c.errs[asked-1] })
		if asked != c.want || !errors.Is(err, c.errs[asked-1]) {
			t.Errorf("%v: asked %d times: %v", c.errs, asked, err)
		}
	}
}

// A vote may be decided, and then an append be acknowledged. What matters is which answer
// goes out first.
func TestAVoteLosesAgainstAnAcknowledgementInBetween(t *testing.T) {
	e := newEnds(t)
	e.delay = func() { // raft has granted; the answer is not out yet
		if got := e.b.check(&raft.AppendEntriesRequest{}, raft.RPCResponse{Response: &raft.AppendEntriesResponse{Term: 3, Success: true}}); got.Error != nil {
			t.Error(got.Error)
		}
	}
	if granted, err := e.askVote(4, false); err == nil || granted {
		t.Error("the vote went out after the acknowledgement")
	}
}

// A process that was just started may have acknowledged somebody before.
func TestARestartedVoterWaits(t *testing.T) {
	e := newEnds(t)
	e.b.guard = core.NewGuard(core.Profiles()["lan"], e.now, 1)
	if granted, err := e.askVote(2, false); err == nil || granted {
		t.Error("it voted right after its start")
	}
	e.a.guard = core.NewGuard(core.Profiles()["lan"], e.now, 1)
	if err := e.a.RequestPreVote("b", "b", &raft.RequestPreVoteRequest{Term: 2}, &raft.RequestPreVoteResponse{}); err == nil {
		t.Error("it campaigned right after its start")
	}
}

// A server that the cluster does not have is deaf, and one without a vote does not vote.
func TestAForgottenServerIsDeaf(t *testing.T) {
	e := newEnds(t)
	e.b.votes = func() bool { return false }
	if granted, err := e.askVote(2, false); err == nil || granted {
		t.Error("it voted without a vote")
	}
	e.b.joined = func() bool { return false }
	if err := e.appendTerm(2, 2, true); err == nil {
		t.Error("it acknowledged what is meant for another server")
	}
}

// What told a member to campaign, and comes when it leads already, does not make it step down.
func TestALeaderDoesNotCampaign(t *testing.T) {
	e := newEnds(t)
	e.answer = func(any) any { return &raft.TimeoutNowResponse{} }
	e.a.yielded.Store(true)
	leads := true
	e.b.leads = func() bool { return leads }
	timeout := func() error {
		return e.a.TimeoutNow("b", "b", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{})
	}
	if err := timeout(); err == nil {
		t.Error("a leader was made to campaign")
	}
	leads = false
	if err := timeout(); err != nil {
		t.Error(err)
	}
}

// Nobody is told to campaign before the lease is given up; pipelines are not there; a witness
// waits for others, and votes as any.
func TestWhatIsNotSent(t *testing.T) {
	e := newEnds(t)
	e.answer = func(any) any { return &raft.TimeoutNowResponse{} }
	timeout := func() error {
		return e.a.TimeoutNow("b", "b", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{})
	}
	if err := timeout(); err == nil {
		t.Error("leadership was given away with the lease")
	}
	e.a.yielded.Store(true)
	if err := timeout(); err != nil {
		t.Error(err)
	}
	if _, err := e.a.AppendEntriesPipeline("b", "b"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("got %v for a pipeline", err)
	}
	e.b.reluctance = 30 * time.Minute
	if e.b.mayCampaign() != nil {
		t.Error("a witness whose leader is gone for an hour must campaign")
	}
	e.b.reluctance = 3 * time.Hour
	if e.b.mayCampaign() == nil || e.b.mayVote() != nil {
		t.Error("a witness campaigns early, or does not vote")
	}
	e.b.reluctance = 0
	if e.b.late(time.Second); e.b.mayCampaign() == nil {
		t.Error("it campaigns although it was too busy to hear a leader")
	}
	e.now += time.Second
	if e.b.late(time.Second); e.b.mayCampaign() != nil {
		t.Error("a busy host never campaigns")
	}
}
