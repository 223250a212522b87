package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// WaitStreaming returns when every running standby of the cluster streams WAL.
func (c *Cluster) WaitStreaming(ctx context.Context) error {
	for i := range c.nodes {
		if c.Pid(i) == 0 {
			continue
		}
		const streams = `SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')`
		if err := c.waitTrue(ctx, i, streams); err != nil {
			return fmt.Errorf("wait until node %d streams: %w", i, err)
		}
	}
	return nil
}

// WaitReplay returns when every running standby has replayed what node primary
// had written at the time of the call.
func (c *Cluster) WaitReplay(ctx context.Context, primary int) error {
	lsn, err := c.Value(ctx, primary, "postgres", "SELECT pg_current_wal_insert_lsn()")
	if err != nil {
		return err
	}
	for i := range c.nodes {
		if i == primary || c.Pid(i) == 0 {
			continue
		}
		replayed := fmt.Sprintf("SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= '%s'", lsn)
		if err := c.waitTrue(ctx, i, replayed); err != nil {
			return fmt.Errorf("wait until node %d replays %s: %w", i, lsn, err)
		}
	}
	return nil
}

// PauseReplay stops standby i from applying WAL; it keeps receiving it.
func (c *Cluster) PauseReplay(ctx context.Context, i int) error {
	if err := c.Exec(ctx, i, "postgres", "SELECT pg_wal_replay_pause()"); err != nil {
		return err
	}
	major, err := c.Major(ctx)
	if err != nil {
		return err
	}
	if major < 14 { // where nothing says that a pause has not only been asked for
		return c.waitTrue(ctx, i, "SELECT pg_is_wal_replay_paused()")
	}
	return c.waitTrue(ctx, i, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
}

// ResumeReplay undoes PauseReplay.
func (c *Cluster) ResumeReplay(ctx context.Context, i int) error {
	return c.Exec(ctx, i, "postgres", "SELECT pg_wal_replay_resume()")
}

// Promote makes standby i a primary and returns when it accepts writes. The old
// primary, if it runs, does not learn of it; other standbys follow by Follow.
func (c *Cluster) Promote(ctx context.Context, i int) error {
	if err := c.Exec(ctx, i, "postgres", "SELECT pg_promote(true, 60)"); err != nil {
		return err
	}
	return c.waitTrue(ctx, i, "SELECT NOT pg_is_in_recovery()")
}

// Follow makes standby i stream from node upstream from now on. i may be running
// or stopped; an old primary needs the same history as upstream (it is not rewound).
func (c *Cluster) Follow(ctx context.Context, i, upstream int) error {
	if err := c.writeUpstream(c.nodes[i], upstream); err != nil {
		return err
	}
	if c.Pid(i) == 0 {
		return nil
	}
	return c.Exec(ctx, i, "postgres", "SELECT pg_reload_conf()")
}

// writeUpstream makes the node a standby of upstream at its next start or reload.
func (c *Cluster) writeUpstream(n *node, upstream int) error {
	host := c.SocketDir()
	if h := c.host(upstream); h.Namespace != "" {
		host = h.Address
	}
	info := fmt.Sprintf("host=%s port=%d user=postgres application_name=%s", host, c.nodes[upstream].port, n.name())
	settings := renderSettings(map[string]string{"primary_conninfo": info})
	if err := appendFile(filepath.Join(n.dir, "postgresql.conf"), settings); err != nil {
		return err
	}
	signal := filepath.Join(n.dir, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", signal, err)
	}
	return c.account.own(signal)
}

// waitTrue asks node i until the answer is true.
func (c *Cluster) waitTrue(ctx context.Context, i int, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		answer, err := c.Value(ctx, i, "postgres", sql)
		if err == nil && answer == "true" {
			return nil
		}
		if perr := pause(ctx); perr != nil {
			return fmt.Errorf("%w (last answer %q, %v)", perr, answer, err)
		}
	}
}

// Rewind makes node i, which must be stopped in order, or was killed, a standby of node upstream whatever it has more
// than that (pg_rewind). It is not started.
func (c *Cluster) Rewind(ctx context.Context, i, upstream int) error {
	n := c.nodes[i]
	if c.Pid(i) != 0 {
		return fmt.Errorf("rewind node %d: it runs", i)
	}
	// What the source has just been promoted to is in its control file after a checkpoint only.
	if err := c.Exec(ctx, upstream, "postgres", "CHECKPOINT"); err != nil {
		return err
	}
	config := filepath.Join(n.dir, "postgresql.conf")
	kept, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("rewind node %d: %w", i, err)
	}
	// It ends the recovery of a killed server itself, which cannot be one of a standby.
	if err := os.Remove(filepath.Join(n.dir, "standby.signal")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("rewind node %d: %w", i, err)
	}
	source := fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", c.SocketDir(), c.nodes[upstream].port)
	cmd := exec.CommandContext(ctx, c.Program("pg_rewind"), "-D", n.dir, "--source-server="+source)
	cmd.Env = serverEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rewind node %d: %w\n%s", i, err, out)
	}
	// It has copied the source's files of settings too.
	if err := os.WriteFile(config, kept, 0o600); err != nil {
		return fmt.Errorf("rewind node %d: %w", i, err)
	}
	if err := os.Remove(filepath.Join(n.dir, "postgresql.auto.conf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("rewind node %d: %w", i, err)
	}
	return c.writeUpstream(n, upstream)
}
