package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// detailEvery is how often a server is asked for what changes seldom.
const detailEvery = int64(time.Second)

// frozenMark is in the primary_conninfo of a standby that is frozen (see freeze).
const frozenMark = "/howdah-frozen"

// standbyDetailSQL: how a standby's walreceiver calls itself (PostgreSQL manual, primary_conninfo:
// application_name, else cluster_name, else walreceiver), whether howdah has frozen it, and what delays its
// replay. The settings of pg_settings are NULL if the role may not see them.
const standbyDetailSQL = `SELECT coalesce(substring(i.setting FROM 'application_name[ ]*=[ ]*''?([^'' &]+)'),
		nullif(current_setting('cluster_name'), ''), 'walreceiver'),
	coalesce(position('` + frozenMark + `' IN i.setting) > 0, false),
	CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
	%s
	FROM (SELECT (SELECT setting FROM pg_settings WHERE name = 'primary_conninfo') AS setting OFFSET 0) i`

const delayedSQL = `(SELECT setting <> '0' FROM pg_settings WHERE name = 'recovery_min_apply_delay')`

// primaryDetailSQL: its synchronous standbys by application_name; '?' if the role may not see; and how it would call itself as a
// standby, since the same list of all servers is often given to each.
const primaryDetailSQL = `SELECT current_setting('synchronous_standby_names'),
	coalesce((SELECT string_agg(CASE WHEN state IS NULL THEN '?'
		ELSE application_name END, ',')
		FROM pg_stat_replication WHERE state IS NULL OR sync_state IN ('sync', 'quorum')), ''),
	coalesce((SELECT substring(setting FROM 'application_name[ ]*=[ ]*''?([^'' &]+)') FROM pg_settings WHERE name = 'primary_conninfo'),
		current_setting('cluster_name')),
	coalesce((SELECT string_agg(concat_ws(E'\t', application_name, coalesce(host(client_addr), ''), state, sync_state), E'\n')
		FROM pg_stat_replication WHERE state IS NOT NULL), '')`

// historySQL reads the history of the primary's timeline; the first timeline has none.
const historySQL = `SELECT coalesce(pg_read_file('pg_wal/%08X.history', 0, 1048576, true), '')`

func (c *connection) isStale(s *server) bool {
	return c.detailed == 0 || Now()-c.detailed > detailEvery || s.role != c.detailedRole || s.timeline != c.detailedTLI
}

// details asks what changes seldom.
func (c *connection) details(ctx context.Context, s *server) (detail, error) {
	var d detail
	if s.role == RoleStandby {
		delayed := "false"
		if c.hasDelay {
			delayed = delayedSQL
		}
		row, err := c.row(ctx, fmt.Sprintf(standbyDetailSQL, delayed), 4)
		if err != nil {
			return d, fmt.Errorf("ask standby's details: %w", err)
		}
		d.name, d.frozen, d.paused, d.delayed = row[0], row[1] == "t", row[2] == "t", row[3] == "t"
		return d, nil
	}
	row, err := c.row(ctx, primaryDetailSQL, 4)
	if err != nil {
		return d, fmt.Errorf("ask primary's details: %w", err)
	}
	d.syncAsked, d.syncKnown = row[0] != "", true
	var listed []string
	d.quorum, listed = quorumOf(row[0])
	listed = slices.DeleteFunc(listed, func(name string) bool { return name == row[2] })
	for _, name := range strings.Split(row[1], ",") {
		if name == "?" {
			d.sync, d.syncKnown = nil, false
			break
		}
		if name != "" {
			d.sync = append(d.sync, name)
		}
	}
	if listed != nil {
		d.sync = listed // connected or not: a commit may have been confirmed by one that has just gone
	}
	d.senders = parseSenders(row[3])
	d.history = c.about.detail.history
	if s.timeline != c.detailedTLI || s.role != c.detailedRole {
		d.history = nil
		if c.mayRead && s.timeline > 1 {
			row, err := c.row(ctx, fmt.Sprintf(historySQL, s.timeline), 1)
			if err != nil {
				return d, fmt.Errorf("ask timeline's history: %w", err)
			}
			d.history = parseHistory(row[0])
		}
	}
	return d, nil
}

// parseSenders reads lines of application_name, address, state and sync_state. What has tabs of its own is left out.
func parseSenders(text string) []sender {
	var all []sender
	for line := range strings.SplitSeq(text, "\n") {
		if f := strings.Split(line, "\t"); len(f) == 4 {
			all = append(all, sender{f[0], f[1], Sender{f[2], f[3]}})
		}
	}
	return all
}

// senderOf is what a primary says of the standby that calls itself name, on host. Several that have the same name are told
// apart by their addresses; if that does not do, only what they agree on is known.
func senderOf(senders []sender, name, host string) Sender {
	var same, there []Sender
	for _, s := range senders {
		if s.name == name {
			same = append(same, s.Sender)
			if s.address == host {
				there = append(there, s.Sender)
			}
		}
	}
	if len(there) > 0 {
		same = there
	}
	for _, s := range same {
		if s != same[0] {
			return Sender{}
		}
	}
	if len(same) == 0 {
		return Sender{}
	}
	return same[0]
}

// quorumOf is how many of which synchronous standbys must confirm a commit if it is any of them
// (synchronous_standby_names = 'ANY 1 (a, b)'), and 0 if it is all that count as synchronous now.
func quorumOf(names string) (int, []string) {
	head, list, ok := strings.Cut(names, "(")
	fields := strings.Fields(head)
	if !ok || len(fields) != 2 || !strings.EqualFold(fields[0], "ANY") {
		return 0, nil
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil || strings.Contains(list, "*") {
		return 0, nil
	}
	var all []string
	for _, name := range strings.Split(strings.TrimRight(list, ") "), ",") {
		all = append(all, strings.Trim(name, " \""))
	}
	return n, all
}

// parseHistory reads a .history file: lines of timeline, tab, position, tab, reason. A
// file that is not understood is no history.
func parseHistory(text string) []fork {
	var history []fork
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return nil
		}
		timeline, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return nil
		}
		lsn, err := ParseLSN(fields[1])
		if err != nil {
			return nil
		}
		history = append(history, fork{timeline: uint32(timeline), lsn: lsn})
	}
	return history
}
