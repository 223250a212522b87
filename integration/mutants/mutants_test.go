// Package mutants breaks the safety rules of the watchdog and of the failover machine one at a time, and holds that their
// simulations find each. A simulation that lets a broken rule pass is worth nothing.
package mutants

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutant is a rule of watchdog/core that is taken away, by a change of its text.
type mutant struct {
	name, file, old, new string
	// test finds it; empty for the simulation.
	test string
}

var mutants = []mutant{
	{"a lease as long as the election timeout and a half", "lease.go", "+ l.timing.Lease, true", "+ l.timing.Lease*3/2, true", ""},
	{"a lease that counts from the answer", "machine.go", "m.lease.Acked(e.Peer, e.Term, e.Sent)", "m.lease.Acked(e.Peer, e.Term, now)", ""},
	{"a lease by one acknowledgement", "lease.go", "times[quorum-1]", "times[0]", ""},
	{"a lease without knowing what was decided before", "lease.go", "now < end && l.caughtUp", "now < end", ""},
	{"a lease that goes on after it was given away", "succession.go", "m.lease.Yield()", "", ""},
	{"a voter that forgets at a restart whom it acknowledged", "guard.go", "now - g.started; since < hold {", "now - g.started; since < 0 {", ""},
	{"a voter that leaves a leader that it just acknowledged", "guard.go", "now - g.contact; since < hold {", "now - g.contact; since < 0 {", ""},
	{"a certificate that ends the promises to come, too", "certificate.go", "g.Yielded(c.Term)", "g.Yielded(c.Term + 100)", ""},
	{"a majority that is none", "lease.go", "return n/2 + 1", "return (n + 1) / 2", ""},
	{"a failover that waits for nobody", "consent.go", "len(m.barring()) == 0", "len(m.barring()) >= 0", ""},
	{"a failover that does not wait for its own member", "consent.go", "m.stopped != f.ID {", "false {", ""},
	{"a new leader that forgets its predecessor's grants", "route.go", "others: now + timing.stretched(timing.Route)", "others: now", ""},
	{"a leader that forgets grants early", "route.go", "g.until[a.From] = now + g.timing.stretched(g.timing.Route)", "g.until[a.From] = now + g.timing.Route/3", ""},
	{"a grant during a failover", "route.go", "case s.Failover.Phase != PhaseNone:\n\t\tanswer.Reason", "case s.Failover.Phase != PhaseNone:\n\t\tanswer.Granted = true\n\t\tanswer.Reason", ""},
	{"a grant by a leader without a lease", "holder.go", "case !m.MayAct(m.now):", "case m.grants == nil:", ""},
	{"a grant that its holder stretches", "route.go", "a.Sent+a.Lease", "a.Sent+2*a.Lease", ""},
	{"a grant to who goes by another epoch", "route.go", "case a.Epoch != s.Epoch:\n", "case a.Epoch != s.Epoch:\n\t\tanswer.Granted, answer.Epoch = true, a.Epoch\n", ""},
	{"writes during a failover", "route.go", "case s.state.Failover.Phase != PhaseNone:", "case false:", ""},
	{"writes of four that cannot be decided without one", "route.go", "s.current && len(s.voters) == 2 && len(s.state.Members) <= 2", "s.current", ""},
	{"a pair's member that goes by less than it stored", "route.go", "voter && s.current", "voter", ""},
	{"a pair's failover that does not wait for the other's word", "route.go", "(pair || granted)", "granted", ""},
	{"a veto that is not heard", "poll.go", "case len(up) > 0:", "case false:", ""},
	{"a poll without a majority", "poll.go", "len(voters)-len(missing) < quorum", "len(voters)-len(missing) < 1", ""},
	{"a poll that nobody could see anything in", "poll.go", "case len(down) == 0:", "case false:", ""},
	{"a poll by a member without a lease", "consent.go", "case !m.MayAct(m.now):", "case m.grants == nil:", ""},
	{"a successor that does not look again", "consent.go", "!f.Planned && m.checked != f.ID", "false", ""},
	{"an attempt that two candidates have", "apply.go", "case b.Attempt != s.Attempt+1:", "case b.Attempt < s.Attempt:", ""},
	{"a failover that was asked for before everything automatic was paused", "apply.go", "case s.Intents.Paused && !b.Planned:", "case false:", ""},
	{"no time between two failovers", "consent.go", "case m.cooling && m.now-m.changed < m.timing.Cooldown:", "case false:", ""},
	{"a grant that does not end", "route.go", "case now < s.route.Until && s.route.Epoch == s.state.Epoch:\n\t\tp.Writes, p.Until, p.Reason = true, s.route.Until, \"the leader", "case s.route.Epoch == s.state.Epoch:\n\t\tp.Writes, p.Until, p.Reason = true, s.route.Until, \"the leader", ""},
	{"a leader that goes on without a lease", "machine.go", "\tif holds {\n\t\tm.settlePoll()", "\tif m.grants != nil {\n\t\tm.settlePoll()", ""},
	{"a primary that is not the attempt's", "apply.go", "if b.Attempt != s.Failover.Attempt || b.Primary.Node != s.Failover.Candidate {", "if false {", ""},
	{"an address that outlives the lease", "machine.go", "next.Want, next.Until = true, until", "next.Want, next.Until = true, until+m.timing.Election/2", ""},
	{"one of two that goes on alone although it shall wait", "pair.go", "case p.rules.Policy == PolicyWait || p.rules.Policy == \"\":", "case false:", ""},
	{"one of two that goes on alone and hears the other one", "pair.go", "m.now-p.heard < 2*m.timing.Election || m.hearsLeader()", "false", ""},
	{"one of two that goes on alone and sees the primary", "pair.go", "case l.Sight != SeesDown:", "case false:", ""},
	{"one of two that goes on alone and has turned nothing off", "pair.go", "p.rules.Policy == PolicyFenced && p.fence != fenceDone", "false", ""},
	{"one of two that goes on alone without all commits", "pair.go", "p.rules.Policy == PolicySynchronous && l.Unconfirmed", "false && l.Unconfirmed", ""},
	{"one of two that goes on alone and may be the one that is cut off", "pair.go", "p.rules.Policy != PolicySynchronous && !m.fitness.Gateway", "false", ""},
	{"one that was left behind and writes", "route.go", "case s.outdated != \"\":", "case false:", ""},
	{"one that was left behind and keeps the address", "lock.go", "case p.outdated != \"\":", "case false:", ""},
	{"a lock that its last owner may believe to have", "lock.go", "m.now >= l.since+m.timing.stretched(m.timing.Lock)", "true", ""},
	{"a lock that counts while the other one leads", "lock.go", "case m.hearsLeader():", "case false:", ""},
}

// around are rules where the watchdog and the libraries meet, which the simulation has no part of; a test of the transport, or with real raft on
// virtual time, finds each.
var around = []mutant{
	{"an acknowledgement that counts from its answer", "transport.go", "t.acked(id, args.Term, sent)", "t.acked(id, args.Term, sent-sent+t.now())", "TestAcknowledgementsCountFromTheSending"},
	{"an acknowledgement after a vote in a later term", "core/guard.go", "if term < g.granted {", "if false {", "TestVotesWaitForTheLease"},
	{"a vote right after an acknowledgement", "transport.go", "err = t.guard.Grant(t.now(), r.Term)", "err = error(nil)", "TestAVoteLosesAgainstAnAcknowledgementInBetween"},
	{"a server that lost its directory and votes", "transport.go", "if !t.joined() {", "if false {", "TestAForgottenServerIsDeaf"},
	{"a lease that is four times as long", "core/lease.go", "+ l.timing.Lease, true", "+ 4*l.timing.Lease, true", "TestRaftOnVirtualTime"},
	{"a vote whatever was acknowledged", "core/guard.go", "now - g.contact; since < hold {", "now - g.contact; since < 0 {", "TestVotesWaitForTheLease"},
	{"a certificate about another leader of the same term", "core/certificate.go", "c.Server != g.leader || ", "", "TestADeadLeaderIsNotWaitedFor"},
	{"a certificate about another term", "core/certificate.go", " || c.Term != g.term", "", "TestADeadLeaderIsNotWaitedFor"},
	{"a certificate that anybody signed", "certificate.go", "!ok || !ecdsa.VerifyASN1(key, sum[:], d.Signature)", "!ok || key == nil || len(sum) == 0", "TestWhoCertifiesADeath"},
	{"a certificate by another member", "certificate.go", "len(names) != 1 || core.MemberID(names[0]) != memberOf(raft.ServerID(text.Dead.Server))", "len(names) != 1", "TestWhoCertifiesADeath"},
	{"leadership that is given away with the lease", "transport.go", "if !t.yielded.Load() {", "if false {", "TestWhatIsNotSent"},
}

// seeds is how many schedules may be needed to find a mutant.
const seeds = "1000"

func TestSimulationFindsEveryMutant(t *testing.T) {
	find(t, "../../watchdog/core", mutants, []string{"HOWDAH_SCHEDULES=" + seeds}, nil, "BROKEN:", "long after all faults ended")
}

func TestTestsFindEveryMutant(t *testing.T) {
	find(t, "../../watchdog", around, []string{"HOWDAH_SCHEDULES=100"}, nil, "--- FAIL")
}

// find breaks one rule of a package after the other, and runs its simulation, which must say one of words.
func find(t *testing.T, dir string, mutants []mutant, env, flags []string, words ...string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			source := filepath.Join(dir, m.file)
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), m.old) != 1 {
				t.Fatalf("%s has %q %d times, not once: bring the mutant up to date", m.file, m.old, strings.Count(string(text), m.old))
			}
			temp := t.TempDir()
			changed, overlay := filepath.Join(temp, filepath.Base(m.file)), filepath.Join(temp, "overlay.json")
			write(t, changed, []byte(strings.Replace(string(text), m.old, m.new, 1)))
			replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
			if err != nil {
				t.Fatal(err)
			}
			write(t, overlay, replace)
			cmd := exec.Command("go", append([]string{"test", "-vet=off", "-count=1", "-timeout", "3m", "-overlay", overlay, "-run", "^" + cmp.Or(m.test, "TestSimulation") + "$", "."}, flags...)...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("the simulation did not find it")
			case !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(string(out), w) }):
				t.Errorf("it failed for another reason:\n%s", out)
			default:
				for line := range strings.Lines(string(out)) {
					if strings.Contains(line, "seed ") || strings.Contains(line, "schedule ") {
						t.Log(strings.TrimSpace(line))
					}
				}
			}
		})
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
