package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// Options say what a cluster looks like. The zero value is a lone primary.
type Options struct {
	// Standbys is how many streaming standbys follow node 0.
	Standbys int
	// Settings are added to every node's postgresql.conf and win over the
	// defaults there (fsync off, wal_level logical, max_connections 200).
	Settings map[string]string
	// SyncRemoteApply makes a commit wait until every standby has replayed it, so
	// that a read on any node sees it. A stopped or paused standby then stops
	// every commit.
	SyncRemoteApply bool
	// Bin is the directory of the server programs. Empty means $HOWDAH_PG_BIN,
	// else the newest /usr/lib/postgresql/*/bin.
	Bin string
	// HBA are pg_hba.conf lines for clients over TCP; none means trust for
	// 127.0.0.1. The cluster's own connections use the Unix socket, which always trusts.
	HBA []string
	// Clocks shift the clocks of nodes by so much, by libfaketime; a node that is
	// not here has the machine's.
	Clocks map[int]time.Duration
	// Hosts puts the nodes into network namespaces that exist, one for each node in order; none means all
	// run where the test does.
	Hosts []Host
}

// Host is a network namespace that a server runs in.
type Host struct {
	Namespace string // as ip netns names it
	Address   string // one of the namespace's own, IPv4; the server listens there and on 127.0.0.1
}

// Times that bound what a cluster waits for.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollEvery    = 10 * time.Millisecond
)

// Cluster is a primary and its standbys. Its methods are safe for concurrent use
// as long as no two of them change the same node.
type Cluster struct {
	dir     string
	bin     string
	options Options
	account account
	nodes   []*node

	mu     sync.Mutex
	keeper *keeper
	closed bool
}

// New makes a cluster's files in dir, which must be empty or not exist, and which
// Close removes. Start starts it.
func New(dir string, options Options) (*Cluster, error) {
	bin, err := findBin(options.Bin)
	if err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve cluster directory: %w", err)
	}
	c := &Cluster{dir: dir, bin: bin, options: options, account: acc}
	if err := c.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

func (c *Cluster) create() error {
	if entries, err := os.ReadDir(c.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("create cluster in %s: directory is not empty", c.dir)
	}
	if err := c.account.mkdir(c.dir); err != nil {
		return err
	}
	if err := c.account.mkdir(c.SocketDir()); err != nil {
		return err
	}
	template, err := ensureTemplate(c.bin, c.account)
	if err != nil {
		return err
	}
	ports, err := freePorts(1 + c.options.Standbys)
	if err != nil {
		return err
	}
	for i, port := range ports {
		n := &node{id: i, dir: filepath.Join(c.dir, fmt.Sprintf("node%d", i)), port: port}
		if err := copyTree(template, n.dir); err != nil {
			return err
		}
		if err := c.configure(n); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	return nil
}

// configure writes the node's part of postgresql.conf, its pg_hba.conf, and for
// a standby its upstream.
func (c *Cluster) configure(n *node) error {
	settings := map[string]string{
		"port":                        fmt.Sprint(n.port),
		"listen_addresses":            "127.0.0.1",
		"unix_socket_directories":     c.SocketDir(),
		"cluster_name":                n.name(),
		"fsync":                       "off",
		"full_page_writes":            "off",
		"wal_level":                   "logical",
		"hot_standby":                 "on",
		"hot_standby_feedback":        "on",
		"max_wal_senders":             "20",
		"max_replication_slots":       "20",
		"max_connections":             "200",
		"wal_keep_size":               "1GB",
		"shared_buffers":              "32MB",
		"dynamic_shared_memory_type":  "mmap", // a killed node must not leave files in /dev/shm
		"wal_retrieve_retry_interval": "100ms",
		"timezone":                    "UTC",
		"log_timezone":                "UTC",
		"log_line_prefix":             "%m [%p] %q%u@%d %a ",
	}
	if c.options.SyncRemoteApply && n.id == 0 && c.options.Standbys > 0 {
		settings["synchronous_commit"] = "remote_apply"
		settings["synchronous_standby_names"] = c.synchronousNames()
	}
	if h := c.host(n.id); h.Namespace != "" {
		settings["listen_addresses"] = "127.0.0.1," + h.Address
	}
	for name, value := range c.options.Settings {
		settings[name] = value
	}
	if err := appendFile(filepath.Join(n.dir, "postgresql.conf"), renderSettings(settings)); err != nil {
		return err
	}
	if err := c.writeHBA(n, nil); err != nil {
		return err
	}
	if n.id == 0 {
		return nil
	}
	return c.writeUpstream(n, 0)
}

// host is where the node runs; the zero value is here.
func (c *Cluster) host(i int) Host {
	if i < len(c.options.Hosts) {
		return c.options.Hosts[i]
	}
	return Host{}
}

func (c *Cluster) synchronousNames() string {
	names := make([]string, c.options.Standbys)
	for i := range names {
		names[i] = nodeName(i + 1)
	}
	return fmt.Sprintf("%d (%s)", len(names), strings.Join(names, ", "))
}

// Start starts the primary, then the standbys, and returns when all accept
// connections and every standby streams.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := c.StartNode(ctx, n.id); err != nil {
			return err
		}
	}
	return c.WaitStreaming(ctx)
}

// Stop shuts every running node down cleanly, standbys first so that the primary
// need not wait for them.
func (c *Cluster) Stop() error {
	var errs []error
	for i := len(c.nodes) - 1; i >= 0; i-- {
		errs = append(errs, c.StopNode(i))
	}
	return errors.Join(errs...)
}

// Close kills what runs and removes the directory. It may be called at any time
// and more than once.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for i := len(c.nodes) - 1; i >= 0; i-- {
		errs = append(errs, c.nodes[i].halt())
	}
	errs = append(errs, os.RemoveAll(c.dir))
	if c.keeper != nil {
		errs = append(errs, c.keeper.release())
	}
	return errors.Join(errs...)
}

// ensureKeeper starts the keeper before the first server.
func (c *Cluster) ensureKeeper() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.New("start node: cluster is closed")
	}
	if c.keeper != nil {
		return nil
	}
	k, err := startKeeper(c.dir)
	if err != nil {
		return err
	}
	c.keeper = k
	return nil
}

// Dir is the cluster's directory.
func (c *Cluster) Dir() string { return c.dir }

// Bin is the directory of the server programs in use.
func (c *Cluster) Bin() string { return c.bin }

// SocketDir is the directory of the nodes' Unix sockets.
func (c *Cluster) SocketDir() string { return filepath.Join(c.dir, "s") }

// Nodes is how many nodes the cluster has, running or not.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// Port is node i's TCP port on 127.0.0.1 and the number of its Unix socket. It
// never changes.
func (c *Cluster) Port(i int) int { return c.nodes[i].port }

// Log returns what node i has written to its log so far.
func (c *Cluster) Log(i int) string {
	text, err := os.ReadFile(c.nodes[i].logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func renderSettings(settings map[string]string) string {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	_, err = f.WriteString("\n" + text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("append to %s: %w", path, err)
	}
	return nil
}
