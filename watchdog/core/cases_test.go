package core

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txt; commit them only if you understand every change")

// TestCases runs testdata/*.txt. A file holds steps: lines of input, "----", and what each of
// them printed. Lines:
//
//	apply KIND [BODY] [epoch=N] [failover=N] [request=TEXT]   a command, with what fits the state if not said
//	voters p1 p2 ...                                          who votes; the first is this member
//	poll p1=up p2=down ...                                    the tally of these answers
//	at 1s | won N | caught up N | acked p2 N sent=900ms | yield | lost      the lease
//	vote | grant-vote N | acknowledge N [by=NAME] | yielded N | dead N by=NAME | restart [N]   the guard
//	grant p2 epoch=N [failover=N] [barred]                                  the leader's answer to p2
//	missing ID                                                              who is waited for
//	member NAME... | leads [NAME] | wins N                                  a whole member, the first, and its raft's word; it says what it asks
//	granted NAME sent=1s epoch=N | refused NAME sent=1s [holder]            an answer to it
//	asked NAME epoch=N [holding]                                            its own answer to another
//	may [leading] [route=EPOCH@UNTIL] [behind]                              what clients may do
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			timing := Profiles()["lan"]
			c := &cases{state: (&State{}).clone(), timing: timing, guard: NewGuard(timing, 0, 0), grants: NewGrants(timing, 0)}
			var out []string
			for _, step := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
				input, want, _ := strings.Cut(step, "\n----")
				var got strings.Builder
				for line := range strings.Lines(input) {
					if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
						answer, err := c.line(line)
						if err != nil {
							t.Fatalf("%q: %v", line, err)
						}
						if answer != "" {
							got.WriteString("\n" + answer)
						}
					}
				}
				if strings.TrimSpace(want) != strings.TrimSpace(got.String()) && !*update {
					t.Errorf("step\n%s\n---- got%s\n---- want%s", input, got.String(), want)
				}
				out = append(out, input+"\n----"+got.String())
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

type cases struct {
	state  *State
	index  uint64
	timing Timing
	now    time.Duration
	voters []MemberID
	lease  *Lease
	guard  *Guard
	grants *Grants
	member *Machine
}

func (c *cases) line(line string) (string, error) {
	words := strings.Fields(line)
	options := map[string]string{}
	var plain []string
	for _, w := range words[1:] {
		if key, value, ok := strings.Cut(w, "="); ok && !strings.Contains(w, "{") {
			options[key] = value
		} else {
			plain = append(plain, w)
		}
	}
	number := func(text string) uint64 { n, _ := strconv.ParseUint(text, 10, 64); return n }
	duration := func(text string) time.Duration { d, _ := time.ParseDuration(text); return d }
	switch words[0] {
	case "apply":
		return c.apply(plain, options)
	case "voters":
		c.voters = nil
		for _, w := range plain {
			c.voters = append(c.voters, MemberID(w))
		}
		c.lease = NewLease(c.voters[0], c.timing, c.voters)
	case "poll":
		var votes []Vote
		for id, sight := range options {
			votes = append(votes, Vote{MemberID(id), Sight(sight), "as asked"})
		}
		v := Tally(sortVotes(votes), c.voters)
		return fmt.Sprintf("failed=%v alive=%v final=%v: %s", v.Failed, v.Alive, v.Final, v.Reason), nil
	case "member":
		var ids []MemberID
		for _, w := range plain {
			ids = append(ids, MemberID(w))
		}
		c.lease, c.member = nil, New(ids[0], c.timing, ids)
		c.member.Step(c.now, Applied{State: c.state, Index: c.index})
	case "leads":
		return c.asks(Leads{MemberID(strings.Join(plain, ""))}), nil
	case "wins":
		c.member.Step(c.now, Won{number(plain[0])})
		c.member.Step(c.now, CaughtUp{number(plain[0])})
		for _, v := range c.member.voters {
			c.member.Step(c.now, Acked{v, number(plain[0]), c.now})
		}
		return c.asks(Tick{}), nil
	case "granted", "refused":
		a := RouteAnswer{Granted: words[0] == "granted", Holder: words[0] == "granted" || slices.Contains(plain, "holder"), Epoch: number(options["epoch"]),
			Sent: duration(options["sent"]), Lease: c.timing.Route, Reason: "it says no"}
		return c.asks(RouteReply{MemberID(plain[0]), a}), nil
	case "asked":
		for _, a := range c.member.Step(c.now, RouteRequest{RouteAsk{From: MemberID(plain[0]), Epoch: number(options["epoch"]), Sent: c.now}}) {
			if r, ok := a.(ReplyRoute); ok {
				return fmt.Sprintf("to %s: granted=%v holder=%v %s", r.To, r.Answer.Granted, r.Answer.Holder, r.Answer.Reason), nil
			}
		}
	case "at":
		c.now = duration(plain[0])
		if c.member != nil {
			return c.asks(Tick{}), nil
		}
		if c.lease != nil {
			return c.leased(), nil
		}
	case "won":
		c.lease.Won(number(plain[0]))
		return c.leased(), nil
	case "caught":
		c.lease.CaughtUp(number(plain[1]))
		return c.leased(), nil
	case "acked":
		c.lease.Acked(MemberID(plain[0]), number(plain[1]), duration(options["sent"]))
		return c.leased(), nil
	case "yield":
		c.lease.Yield()
		return c.leased(), nil
	case "lost":
		c.lease.Lost()
		return c.leased(), nil
	case "restart":
		c.guard = NewGuard(c.timing, c.now, number(strings.Join(plain, "")))
	case "acknowledge":
		if err := c.guard.Acknowledge(c.now, number(plain[0]), options["by"]); err != nil {
			return err.Error(), nil
		}
	case "grant-vote":
		if err := c.guard.Grant(c.now, number(plain[0])); err != nil {
			return "no: " + err.Error(), nil
		}
		return "yes", nil
	case "yielded":
		c.guard.Yielded(number(plain[0]))
	case "dead":
		if err := c.guard.Dead(Certificate{options["by"], number(plain[0])}); err != nil {
			return err.Error(), nil
		}
	case "vote":
		if err := c.guard.MayVote(c.now); err != nil {
			return "no: " + err.Error(), nil
		}
		return "yes", nil
	case "grant":
		a := c.grants.Answer(c.now, c.state, RouteAsk{From: MemberID(plain[0]), Epoch: number(options["epoch"]),
			Failover: number(options["failover"]), Barred: slices.Contains(plain, "barred"), Sent: c.now})
		return fmt.Sprintf("granted=%v %s", a.Granted, a.Reason), nil
	case "missing":
		return fmt.Sprint(c.grants.Missing(c.now, number(plain[0]), c.voters[1:], len(c.voters) == 2)), nil
	case "may":
		epoch, until, _ := strings.Cut(options["route"], "@")
		p := permit(c.now, standing{self: c.voters[0], state: c.state, voters: c.voters, leading: slices.Contains(plain, "leading"),
			current: !slices.Contains(plain, "behind"), route: Route{Until: duration(until), Epoch: number(epoch)}})
		return fmt.Sprintf("reads=%v writes=%v to %q: %s", p.Reads, p.Writes, p.Target.Node, p.Reason), nil
	default:
		return "", fmt.Errorf("unknown word %q", words[0])
	}
	return "", nil
}

// asks gives the member an event and says whom it asks for a route lease then, and what its clients may do.
func (c *cases) asks(e Event) string {
	var to []MemberID
	for _, a := range c.member.Step(c.now, e) {
		if ask, ok := a.(AskRoute); ok {
			to = append(to, ask.To)
		}
	}
	p := c.member.Permission(c.now)
	return fmt.Sprintf("leader %q asks %v writes=%v: %s", c.member.Leader(), to, p.Writes, p.Reason)
}

func (c *cases) leased() string {
	c.lease.Settle(c.now)
	until, ok := c.lease.Until(c.now)
	if !ok {
		return fmt.Sprintf("%s: %s", c.lease.State(), c.lease.Why())
	}
	return fmt.Sprintf("%s until %s", c.lease.State(), until)
}

func (c *cases) apply(plain []string, options map[string]string) (string, error) {
	command := c.state.Make(Kind(plain[0]), struct{}{})
	if len(plain) > 1 {
		command.Body = json.RawMessage(strings.Join(plain[1:], " "))
	}
	if text, ok := options["epoch"]; ok {
		command.Epoch, _ = strconv.ParseUint(text, 10, 64)
	}
	if text, ok := options["failover"]; ok {
		command.Failover, _ = strconv.ParseUint(text, 10, 64)
	}
	command.Request = options["request"]
	text, err := json.Marshal(command)
	if err != nil {
		return "", err
	}
	c.index++
	next, err := Builtin().Apply(c.state, c.index, text)
	if err != nil && next != c.state {
		return "", errors.New("an error and another state")
	}
	if c.state = next; err != nil {
		return err.Error(), nil
	}
	s := fmt.Sprintf("epoch %d primary %s phase %s", next.Epoch, next.Primary.Node, next.Failover.Phase)
	if f := next.Failover; f.Phase != PhaseNone {
		s += fmt.Sprintf(" failover %d from %s candidate %q attempt %d", f.ID, f.From, f.Candidate, f.Attempt)
	}
	for _, id := range []NodeID{"d1", "d2", "d3"} {
		if n := next.Nodes[id]; n.Status == NodeTainted {
			s += fmt.Sprintf("; %s tainted: %s", id, n.Reason)
		}
	}
	return s, nil
}
