package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(howdahtest.Main(m)) }

// rig is three servers, a howdah that promotes by itself, and clients at work.
type rig struct {
	t       *testing.T
	cluster *pgcluster.Cluster
	server  *howdahtest.Server
	options howdahtest.Options
	load    *load
	socket  string
	state   string // howdah's state file
}

// anyOne: a commit waits for one standby, whichever. All servers have the same list, as is usual.
const anyOne = "ANY 1 (node0, node1, node2)"

// probeTimeout is howdah's deadline of a probe; three silent ones are a hang.
const probeTimeout = time.Second

// drivenByAll, among a rig's settings, has the drivers of other languages at work too.
const drivenByAll = "every driver"

// newRig makes one; a commit waits for one of the standbys. Settings are howdah's.
func newRig(t *testing.T, settings map[string]any) *rig {
	return newRigWith(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"synchronous_standby_names": anyOne, "wal_receiver_timeout": "5s",
		"wal_log_hints": "on", "full_page_writes": "on"}}, settings)
}

func newRigWith(t *testing.T, options pgcluster.Options, settings map[string]any) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "chaos") // a socket's path must be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // only litter is left
	r := &rig{t: t, cluster: pgcluster.ForTest(t, options), socket: filepath.Join(dir, "admin.sock"), state: filepath.Join(dir, "state")}
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", schema))
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	all := map[string]any{"failover.mode": "native", "failover.confirm": "300ms", "failover.state_file": r.state, "failover.hold": "50s",
		"failover.cooldown": "1s", "failover.resolve_commits": true, "replication_check.timeout": probeTimeout.String(), "admin.socket": r.socket}
	var backends []map[string]any
	for i := range r.cluster.Nodes() {
		backends = append(backends, map[string]any{"name": fmt.Sprintf("node%d", i), "host": "127.0.0.1", "port": r.cluster.Port(i),
			"weight": min(i, 1), "data_dir": r.dataDir(i)})
	}
	all["backends"] = backends
	drivers := goDrivers
	for k, v := range settings {
		if k == drivenByAll {
			drivers = everyDriver
			continue
		}
		all[k] = v
	}
	if of, ok := all["backends"].(func(*pgcluster.Cluster) any); ok {
		all["backends"] = of(r.cluster)
	}
	r.options = howdahtest.Options{Settings: all}
	r.server = howdahtest.Start(t, r.options)
	for i := range r.cluster.Nodes() {
		r.wait(i, "up")
	}
	r.load = startLoad(t, r.server.DSN("postgres", "postgres"), drivers)
	r.load.more(100)
	return r
}

// openDir is a folder that the servers' user may look into, too, until the test ends.
func openDir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "chaos")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // only litter is left
	must(t, os.Chmod(dir, mode))
	return dir
}

func (r *rig) dataDir(i int) string { return filepath.Join(r.cluster.Dir(), fmt.Sprintf("node%d", i)) }

// ask has howdah carry out a command, by the command line's socket, and returns the answer as a text or as JSON.
func (r *rig) ask(accept, command string, args ...string) (string, error) {
	body, err := json.Marshal(map[string][]string{"args": append([]string{}, args...)})
	must(r.t, err)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://howdah/api/v1/"+command, bytes.NewReader(body))
	must(r.t, err)
	request.Header.Set("X-Howdah", "1")
	request.Header.Set("Accept", accept)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.socket)
	}}}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}

// howdah is ask, as people read it.
func (r *rig) howdah(command string, args ...string) (string, error) {
	return r.ask("text/plain", command, args...)
}

// row is a node as howdah shows it.
type row struct{ State, Role, Reason string }

func (r *rig) nodes() ([]row, error) {
	out, err := r.ask("application/json", "nodes")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var answer struct{ Rows []row }
	return answer.Rows, json.Unmarshal([]byte(out), &answer)
}

// wait waits until howdah shows node i so: "up", "up primary", "quarantine".
func (r *rig) wait(i int, want string) row {
	r.t.Helper()
	var got row
	eventually(r.t, fmt.Sprintf("node%d to be %s", i, want), func() error {
		all, err := r.nodes()
		if err != nil {
			return err
		}
		if got = all[i]; !strings.HasPrefix(got.State+" "+got.Role, want) {
			return fmt.Errorf("it is %+v", got)
		}
		return nil
	})
	return got
}

// waitPrimary waits until howdah shows another primary than node old, and returns it.
func (r *rig) waitPrimary(old int) int {
	r.t.Helper()
	now := -1
	eventually(r.t, "a new primary", func() error {
		all, err := r.nodes()
		if err != nil {
			return err
		}
		for i, n := range all {
			if n.Role == "primary" && n.State == "up" && i != old {
				now = i
				return nil
			}
		}
		return fmt.Errorf("%+v", all)
	})
	return now
}

// wantPrimary fails unless node i is the primary still, and the failover's epoch is that.
func (r *rig) wantPrimary(i, epoch int) {
	r.t.Helper()
	r.wait(i, "up primary")
	out, err := r.howdah("failover")
	must(r.t, err)
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^epoch +%d$`, epoch)).MatchString(out) {
		r.t.Errorf("want epoch %d:\n%s", epoch, out)
	}
}

// said waits until howdah's log has it.
func (r *rig) said(want string) {
	r.t.Helper()
	eventually(r.t, "howdah to say "+want, func() error {
		if !regexp.MustCompile(want).MatchString(r.server.Log()) {
			return fmt.Errorf("it has not")
		}
		return nil
	})
}

// within fails if the longest pause of writes was longer. Bounds are generous: CI has two busy processors.
func (r *rig) within(limit time.Duration) {
	r.t.Helper()
	r.load.mu.Lock()
	defer r.load.mu.Unlock()
	if r.load.pause > limit {
		r.t.Errorf("writes paused for %v, want at most %v", r.load.pause, limit)
	}
}

// start starts node i when nothing is left of it: a killed server's processes take their time.
func (r *rig) start(i int) {
	r.t.Helper()
	must(r.t, r.cluster.WaitGone(r.t.Context(), i))
	must(r.t, r.cluster.StartNode(r.t.Context(), i))
}

// readersOn starts sessions that do nothing but read, until some of them read from node i. Those of before stay where they went when their node
// was lost.
func (r *rig) readersOn(i int) {
	r.t.Helper()
	name := fmt.Sprintf("reader%d", r.load.readers)
	eventually(r.t, fmt.Sprintf("node%d to be read from", i), func() error {
		r.load.startReaders(r.server.DSN("postgres", "postgres", "application_name="+name))
		n, err := r.cluster.Value(r.t.Context(), i, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"+name+"'")
		if err == nil && n == "0" {
			err = fmt.Errorf("none of %d readers does", r.load.readers)
		}
		return err
	})
}

// forked waits until node i is used as a standby again, or refused as one whose log has left the new primary's, and says whether it was refused.
func (r *rig) forked(i int) bool {
	r.t.Helper()
	var forked bool
	eventually(r.t, fmt.Sprintf("node%d to follow or to be found forked", i), func() error {
		all, err := r.nodes()
		if err != nil {
			return err
		}
		forked = all[i].State == "quarantine" && strings.HasPrefix(all[i].Reason, "forked")
		if !forked && (all[i].State != "up" || all[i].Role != "standby") {
			return fmt.Errorf("it is %+v", all[i])
		}
		return nil
	})
	return forked
}

// rejoin makes a stopped old primary a standby of node upstream: rewound, if pg_rewind can, as recovery commands do.
func (r *rig) rejoin(i, upstream int) {
	r.t.Helper()
	must(r.t, r.cluster.WaitGone(r.t.Context(), i))
	must(r.t, r.cluster.Rewind(r.t.Context(), i, upstream))
	r.start(i)
	r.wait(i, "up standby")
}
