package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/configs"
)

// errNoRecovery: there are three ways, and the operator has chosen none.
var errNoRecovery = errors.New("failover.recovery is not configured, nor recovery_script, nor recovery_shell")

// Recover makes a node a standby of the primary anew, and attaches it. What it does for that says the configuration:
// failover.recovery is a command, recovery_script is Pgpool-II's recovery_1st_stage_command, and recovery_shell runs howdah's own
// script with pg_basebackup. It blocks until that ends, within failover.recovery_timeout; if ctx ends it is
// killed. Pgpool-II: pcp_recovery_node.
func (c *Cluster) Recover(ctx context.Context, node string) error {
	if err := c.mustKnow(node); err != nil {
		return err
	}
	w, v := c.settings(), c.View()
	f := &w.failover
	primary := name(v, v.Primary)
	switch {
	case len(f.Recovery) == 0 && f.RecoveryScript == "" && len(f.RecoveryShell) == 0:
		return errNoRecovery
	case v.Primary == NoNode:
		return errors.New("there is no primary to recover it from")
	case primary == node:
		return ErrIsPrimary
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.RecoveryTimeout, fmt.Errorf("not done within %s (failover.recovery_timeout)", f.RecoveryTimeout))
	defer cancel()
	c.log.Info("recovery begins", "node", node, "primary", primary)
	r := &recovery{cluster: c, doer: &doer{wanted: w, view: v, record: c.Failover().Record}, node: node, primary: primary}
	var err error
	switch {
	case len(f.Recovery) > 0:
		err = r.run(ctx, f.Recovery, nil)
	case f.RecoveryScript != "":
		err = r.byScript(ctx)
	default:
		err = r.byBackup(ctx)
	}
	if err != nil {
		return fmt.Errorf("recover %s: %w", node, err)
	}
	return c.Attach(ctx, node)
}

// recovery is one call of Recover.
type recovery struct {
	cluster       *Cluster
	doer          *doer
	node, primary string
}

// run runs a command about the node, with stdin as its standard input.
func (r *recovery) run(ctx context.Context, command configs.Command, stdin io.Reader) error {
	d := r.doer
	call := &hookCall{node: d.hookNode(r.node), main: d.hookNode(r.primary), oldMain: d.oldMain(r.primary), oldPrimary: d.hookNode(r.primary),
		epoch: d.record.Epoch, stdin: stdin}
	h, err := runHook(ctx, command, call)
	r.cluster.ran("recovery", r.node, h, err)
	return err
}

// byScript has the primary run the script in its data directory, and then pgpool_remote_start there, by the functions of
// Pgpool-II's extension pgpool_recovery. The script gets its seven arguments: the primary's data directory, host and
// data directory of the node, the primary's port, number and port of the node, host of the primary.
func (r *recovery) byScript(ctx context.Context) error {
	d := r.doer
	node, _ := d.backend(r.node)
	primary, _ := d.backend(r.primary)
	database := d.wanted.failover.RecoveryDatabase
	start := time.Now()
	conn, err := commandIn(ctx, primary, &d.wanted, database)
	if err != nil {
		return err
	}
	defer conn.close()
	call := func(what, sql string) error {
		answer, err := conn.value(ctx, sql)
		if err == nil && answer != "t" {
			err = fmt.Errorf("it answered %q", answer)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		r.cluster.ran(what, r.node, hookResult{took: time.Since(start)}, err)
		return err
	}
	schema, err := conn.value(ctx, `SELECT (SELECT quote_ident(n.nspname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE p.proname = 'pgpool_recovery' AND p.pronargs = 7 LIMIT 1)`)
	switch {
	case err != nil:
		return fmt.Errorf("look for pgpool_recovery: %w", err)
	case schema == "":
		return fmt.Errorf("database %s has no extension pgpool_recovery 1.4 (failover.recovery_database)", database)
	}
	if err := conn.exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	sql := fmt.Sprintf("SELECT "+schema+".pgpool_recovery(%s, %s, %s, %s, %d, %s, %s)", literal(d.wanted.failover.RecoveryScript), literal(node.Host), literal(node.DataDir),
		literal(strconv.Itoa(primary.Port)), d.id(r.node), literal(strconv.Itoa(node.Port)), literal(primary.Host))
	if err := call("pgpool_recovery "+d.wanted.failover.RecoveryScript, sql); err != nil {
		return err
	}
	return call("pgpool_remote_start", fmt.Sprintf("SELECT "+schema+".pgpool_remote_start(%s, %s)", literal(node.Host), literal(node.DataDir)))
}

//go:embed recover.sh
var backupScript string

// byBackup feeds howdah's own script to a shell where the node is.
func (r *recovery) byBackup(ctx context.Context) error {
	d := r.doer
	node, _ := d.backend(r.node)
	primary, _ := d.backend(r.primary)
	if node.DataDir == "" {
		return fmt.Errorf("backends: %s has no data_dir", r.node)
	}
	host, port := replicationAddress(primary)
	v := d.view.Node(d.view.Primary)
	var script bytes.Buffer
	for _, set := range [][2]string{{"data", node.DataDir}, {"host", host}, {"port", strconv.Itoa(port)}, {"user", d.wanted.check.User},
		{"version", majorVersion(v.ServerVersion)}, {"application", r.application()}} {
		fmt.Fprintf(&script, "%s=%s\n", set[0], shellQuote(set[1]))
	}
	script.WriteString(backupScript)
	return r.run(ctx, d.wanted.failover.RecoveryShell, &script)
}

// application is how the node called itself as a standby last, since synchronous_standby_names may have that; empty if it
// never was one.
func (r *recovery) application() string {
	p := r.cluster.current.Load()
	for i := range p.view.Nodes {
		if p.view.Nodes[i].Name == r.node && i < len(p.known) {
			return p.known[i].server.detail.name
		}
	}
	return ""
}

// majorVersion is that of server_version_num, as 15 or 9.6.
func majorVersion(number int) string {
	if number < 100000 {
		return fmt.Sprintf("%d.%d", number/10000, number/100%100)
	}
	return strconv.Itoa(number / 10000)
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// commandIn is command, to another database than the probes' if one is named.
func commandIn(ctx context.Context, b configs.Backend, want *wanted, database string) (*commander, error) {
	changed := wanted{backends: want.backends, check: want.check, tls: map[string]*auth.BackendTLS{b.Name: want.tls[b.Name]}, failover: want.failover}
	if database != "" {
		changed.check.Database = database
	}
	return command(ctx, b, &changed)
}
