package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

const watchdogHelp = `usage:
  howdah watchdog [-c FILE | ...]             what the running howdah knows of the others, as any door shows it
  howdah watchdog status -c FILE [--json]     members, leader, lease, who has the address
  howdah watchdog yield -c FILE [MEMBER]      have the leader, this member, give leadership away
  howdah watchdog prefer -c FILE MEMBER       where the address goes while it is as fit; - for none
  howdah watchdog pause|resume -c FILE        end and begin everything automatic
  howdah watchdog remove -c FILE MEMBER       take a member out for good
  howdah watchdog shrink -c FILE --the-others-are-off
                                              make this member, which must not run, the only one
  howdah watchdog keygen -o DIR -cluster NAME MEMBER...
                                              make keys: a folder for each member's host
All but status, shrink and keygen are for the member that leads.
`

// runWatchdog shows or changes the quorum, through the member on this host.
func runWatchdog(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && args[0] != "-h" && args[0] != "--help" {
		all := admin.Commands()
		i := slices.IndexFunc(all, func(c admin.Command) bool { return c.Name == "watchdog" })
		return runOperator(ctx, all[i], args, stdout)
	}
	switch what := args[0]; what {
	case "help", "-h", "--help":
		_, err := io.WriteString(stdout, watchdogHelp)
		return err
	case "keygen":
		return runKeygen(args[1:], stdout)
	case "shrink":
		return runShrink(args[1:], stdout, stderr)
	case "status", "yield", "prefer", "pause", "resume", "remove":
		return runOrder(ctx, what, args[1:], stdout)
	default:
		return &usageError{"watchdog", fmt.Sprintf("unknown word %q", what)}
	}
}

// runShrink is for when the majority is lost for good.
func runShrink(args []string, stdout, stderr io.Writer) error {
	flags := newFlags("watchdog shrink")
	path, sure := configFlag(flags), flags.Bool("the-others-are-off", false, "")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if err := requireConfig("watchdog", *path); err != nil {
		return err
	}
	c, err := configs.Load(*path)
	switch {
	case err != nil:
		return err
	case !c.Watchdog.Enabled():
		return errors.New("this howdah stands alone: watchdog.peers is empty")
	case !*sure:
		return &usageError{"watchdog", "a member that goes on alone while others do, too, loses data: make sure that they are off, then add --the-others-are-off"}
	}
	logger, err := logs.New(c.Log, stderr)
	if err != nil {
		return err
	}
	defer logger.Close()
	if err := watchdog.Shrink(c.Watchdog, logger.Logger); err != nil {
		return err
	}
	_, err = io.WriteString(stdout, "this member is the only one now: start it. Remove the others' data directories before they are started; then they join again.\n")
	return err
}

func runKeygen(args []string, stdout io.Writer) error {
	flags := newFlags("watchdog keygen")
	dir, cluster := flags.String("o", "", ""), flags.String("cluster", "", "")
	if err := flags.Parse(args); err != nil {
		return &usageError{"watchdog", err.Error()}
	}
	members := flags.Args()
	if *dir == "" || *cluster == "" || len(members) == 0 {
		return &usageError{"watchdog", "keygen needs -o DIR, -cluster NAME and the members' names"}
	}
	for _, name := range append([]string{*cluster}, members...) {
		if !configs.IsMemberName(name) {
			return &usageError{"watchdog", fmt.Sprintf("%q cannot be a name: use 1 to 63 letters, digits, hyphens and underscores", name)}
		}
	}
	if err := watchdog.Keygen(*dir, *cluster, members); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s: bring each member's folder to its host, as watchdog.keys.\nKeep ca.key away from them: who has it can make members.\n", *dir)
	return err
}

func runOrder(ctx context.Context, what string, args []string, stdout io.Writer) error {
	flags := newFlags("watchdog " + what)
	path, asJSON := configFlag(flags), flags.Bool("json", false, "")
	if err := flags.Parse(args); err != nil {
		return &usageError{"watchdog", err.Error()}
	}
	if err := requireConfig("watchdog", *path); err != nil {
		return err
	}
	member := core.MemberID(flags.Arg(0))
	needs := map[string]int{"prefer": 1, "remove": 1}[what]
	if n := flags.NArg(); n < needs || n > max(needs, map[string]int{"yield": 1}[what]) {
		return &usageError{"watchdog", fmt.Sprintf("%s: wrong number of members", what)}
	}
	c, err := configs.Load(*path)
	if err != nil {
		return err
	}
	if !c.Watchdog.Enabled() {
		return errors.New("this howdah stands alone: watchdog.peers is empty")
	}
	var o watchdog.Order
	switch what {
	case "yield":
		if o.Yield = member; member == "" {
			o.Yield = "-"
		}
	case "prefer":
		o.Prefer = member
	case "remove":
		o.Remove = member
	case "pause":
		o.Pause = true
	case "resume":
		o.Resume = true
	}
	s, err := watchdog.Ask(ctx, c.Watchdog.DataDir, o)
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(stdout, s)
	}
	_, err = io.WriteString(stdout, describeQuorum(s))
	return err
}

// describeQuorum is a status for people.
func describeQuorum(s *watchdog.Status) string {
	var b strings.Builder
	yes := map[bool]string{true: "yes", false: "no"}
	leader := string(s.Leader)
	if leader == "" {
		leader = "nobody"
	}
	fmt.Fprintf(&b, "member %s of cluster %s: leader %s, lease %s", s.Member, s.Cluster, leader, s.Lease)
	if s.Left > 0 {
		fmt.Fprintf(&b, " (%s left)", s.Left.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "\naddress here: %s (%s)\n", yes[s.Address], s.AddressReason)
	fmt.Fprintf(&b, "writes here: %s (%s)\n", yes[s.Writes], s.Reason)
	if st := s.State; st != nil {
		fmt.Fprintf(&b, "epoch %d, primary %q, failover %s, automatics %s, command level %d\n", st.Epoch, st.Primary.Node, st.Failover.Phase,
			map[bool]string{true: "paused", false: "on"}[st.Intents.Paused], st.Level)
	}
	fmt.Fprintf(&b, "%-12s %-8s %-22s %8s %5s %6s  %s\n", "member", "role", "address", "priority", "votes", "heard", "fitness")
	for _, m := range s.Members {
		fmt.Fprintf(&b, "%-12s %-8s %-22s %8d %5s %6s  %s\n", m.ID, m.Role, m.Address, m.Priority, yes[m.Votes], yes[m.Alive], m.Fitness)
	}
	return b.String()
}
