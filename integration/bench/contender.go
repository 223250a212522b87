package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/howdah/howdah/integration/pgcluster"
)

// contender is one way from clients to the servers. The table below names them
// all, in the order in which they take turns.
type contender struct {
	name  string
	about string
	// nodes is how many backends it is given: 1 is the primary alone.
	nodes int
	// program is what must be installed, pkg the Debian package it comes with;
	// empty for a contender that needs no program.
	program, pkg string
	// launch writes configuration files and gives the command. Nil: no proxy.
	launch func(site) (command, error)
}

// command is how to run a proxy in the foreground and how to end it.
type command struct {
	argv []string
	// stop ends it in order at once; orphan is what the kernel sends it should
	// we be killed.
	stop, orphan syscall.Signal
}

// site is what a contender may build on.
type site struct {
	dir         string // its own, owned by the server account
	program     string // found in PATH or given by a flag
	port        int    // to listen on
	spare       int    // a second free port
	backends    []int  // ports of 127.0.0.1, the primary first
	clients     int    // most clients at once
	connections int    // most connections it may open to a backend
	kind        kind
	shows       certificate
	user        string
	database    string
}

// base is the contender that the ratios refer to.
const base = "pgbouncer"

func contenders() []contender {
	return []contender{
		{name: "direct", about: "no proxy", nodes: 1},
		{name: "howdah", about: "one backend", nodes: 1, program: "howdah", launch: launchHowdah},
		{name: "howdah3", about: "three backends, reads routed", nodes: 3, program: "howdah", launch: launchHowdah},
		{name: base, about: "session mode", nodes: 1, program: "pgbouncer", pkg: "pgbouncer", launch: launchPgBouncer},
		{name: "haproxy", about: "tcp mode", nodes: 1, program: "haproxy", pkg: "haproxy", launch: launchHAProxy},
		{name: "haproxy3", about: "three backends, sessions balanced", nodes: 3, program: "haproxy", pkg: "haproxy", launch: launchHAProxy},
		{name: "pgpool", about: "one backend", nodes: 1, program: "pgpool", pkg: "pgpool2", launch: launchPgpool},
		{name: "pgpool3", about: "three backends, reads routed", nodes: 3, program: "pgpool", pkg: "pgpool2", launch: launchPgpool},
	}
}

// selectContenders keeps those named, in the table's order.
func selectContenders(all []contender, names []string) ([]contender, error) {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	var chosen []contender
	for _, c := range all {
		if wanted[c.name] {
			chosen = append(chosen, c)
			delete(wanted, c.name)
		}
	}
	for n := range wanted {
		known := make([]string, len(all))
		for i, c := range all {
			known[i] = c.name
		}
		return nil, fmt.Errorf("contender %q is unknown; there are %s", n, strings.Join(known, ", "))
	}
	return chosen, nil
}

// findPrograms finds every contender's program before anything is started.
// Daemons live in /usr/sbin, which a plain user's PATH may lack.
func findPrograms(chosen []contender, howdah string) (map[string]string, error) {
	found := map[string]string{}
	var missing, packages []string
	for _, c := range chosen {
		if c.program == "" || found[c.program] != "" {
			continue
		}
		path, err := lookProgram(c.program, howdah)
		if err == nil {
			found[c.program] = path
			continue
		}
		if c.program == "howdah" {
			return nil, fmt.Errorf("%s is missing (%w): run `make build`, or leave howdah out by -contenders", howdah, err)
		}
		missing, packages = append(missing, c.program), append(packages, c.pkg)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s: not installed; run `apt-get install -y --no-install-recommends %s`, or leave them out by -contenders",
			strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	return found, nil
}

func lookProgram(name, howdah string) (string, error) {
	if name == "howdah" {
		abs, err := filepath.Abs(howdah)
		if err != nil {
			return "", err
		}
		return exec.LookPath(abs)
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

// running is a contender that takes connections.
type running struct {
	contender
	port int
	proc *process // nil for direct
}

func (r running) stop() {
	if r.proc != nil {
		r.proc.stop()
	}
}

// explain adds the proxy's own words to an error met while using it.
func (r running) explain(err error) error {
	err = fmt.Errorf("%s: %w", r.name, err)
	if r.proc != nil {
		return r.proc.explain(err)
	}
	return err
}

// launcher starts contenders. Its start is called by the main goroutine only
// (see diesWithUs).
type launcher struct {
	dir         string
	account     account
	programs    map[string]string
	nodes       []int // ports of the servers, the primary first
	connections int   // the servers' own limit
	kind        kind
	shows       certificate
	database    string
	user        string
	profiler    *profiler // nil: nobody is profiled
}

// start runs c for so many clients in a new directory called as.
func (l launcher) start(ctx context.Context, c contender, as string, clients int) (running, error) {
	if c.launch == nil {
		return running{contender: c, port: l.nodes[0]}, nil
	}
	st, err := l.site(c, as, clients)
	if err != nil {
		return running{}, fmt.Errorf("prepare %s: %w", as, err)
	}
	cmd, err := c.launch(st)
	if err != nil {
		return running{}, fmt.Errorf("prepare %s: %w", as, err)
	}
	proc, err := startProcess(l.account, as, filepath.Join(l.dir, as+".log"), cmd.stop, cmd.orphan, cmd.argv...)
	if err != nil {
		return running{}, err
	}
	if err := proc.waitListening(ctx, st.port); err != nil {
		proc.stop()
		return running{}, err
	}
	return running{contender: c, port: st.port, proc: proc}, nil
}

func (l launcher) site(c contender, as string, clients int) (site, error) {
	port, err := pgcluster.FreePort()
	if err != nil {
		return site{}, err
	}
	spare, err := pgcluster.FreePort()
	if err != nil {
		return site{}, err
	}
	dir := filepath.Join(l.dir, as)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return site{}, err
	}
	if err := os.Chown(dir, l.account.uid, l.account.gid); err != nil {
		return site{}, err
	}
	return site{dir: dir, program: l.programs[c.program], port: port, spare: spare, backends: l.nodes[:c.nodes],
		clients: clients, connections: l.connections, kind: l.kind, shows: l.shows, user: l.user, database: l.database}, nil
}

// write makes a file that the server account may read.
func (s site) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", err
	}
	return path, nil
}
