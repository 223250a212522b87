package parity_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/parity"
	"github.com/howdah/howdah/integration/pgcluster"
)

const (
	randomScripts = 30 // by default
	randomSteps   = 40
	// differences are how many scripts are shown that fail, before the rest is left out.
	differences = 3
	// shrinkTries and shrinkTime bound how often and how long a failing script is tried again with less.
	shrinkTries = 60
	shrinkTime  = time.Minute
	// recovery is how long a server may take to be back after a crash.
	recovery = 20 * time.Second
)

// TestRandom plays scripts that nobody would write, the same ones each time. A failure
// prints the shortest script found that still fails, as a file for testdata.
// HOWDAH_PARITY_SCRIPTS asks for that many new ones, HOWDAH_PARITY_SEED repeats one.
func TestRandom(t *testing.T) { testRandom(t, "session") }

// TestRandomShared is the same where sessions share their connections.
func TestRandomShared(t *testing.T) { testRandom(t, "transaction") }

func testRandom(t *testing.T, mode string) {
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, SyncRemoteApply: true, Settings: map[string]string{
		"max_connections": "200", "autovacuum": "off", "lock_timeout": "500ms",
	}})
	prepare(t, cluster)
	p := &pair{
		t: t, cluster: cluster, direct: fmt.Sprintf("127.0.0.1:%d", cluster.Port(0)),
		through: howdahtest.Start(t, howdahtest.Options{
			Cluster: cluster, Weights: []float64{0, 1, 1},
			Settings: map[string]any{"routing.consistency": "none", "pool.mode": mode},
		}).Address(),
	}
	if os.Getenv("HOWDAH_PARITY") == "direct" {
		p.through = p.direct
	}
	if text := os.Getenv("HOWDAH_PARITY_SEED"); text != "" {
		p.try(parseUint(t, text))
		return
	}
	scripts, first := uint64(randomScripts), uint64(1)
	if text := os.Getenv("HOWDAH_PARITY_SCRIPTS"); text != "" {
		scripts, first = parseUint(t, text), rand.Uint64()>>1
	}
	t.Logf("seeds from %d", first)
	for i := range scripts {
		if p.try(first + i); p.failed == differences {
			t.Logf("stopped after %d scripts", i+1)
			return
		}
	}
}

func parseUint(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pair is where a script is played twice.
type pair struct {
	t               *testing.T
	cluster         *pgcluster.Cluster
	direct, through string
	made, failed    int
}

func (p *pair) try(seed uint64) {
	p.t.Helper()
	script := parity.Random(seed, randomSteps)
	diff := p.compare(script)
	if diff == "" {
		return
	}
	p.t.Logf("HOWDAH_PARITY_SEED=%d: the answers differ:\n%s", seed, diff)
	p.failed++
	script, diff = p.shrink(script, diff)
	p.t.Errorf("HOWDAH_PARITY_SEED=%d: the answers differ:\n%s\nthe script:\n%s", seed, diff, script.Text())
}

// compare plays a script in two fresh databases and says how the answers differ.
// A script under which the server crashes counts for none: PostgreSQL 15 does now and then when it is to execute a
// portal of a block that has failed.
func (p *pair) compare(script *parity.Script) string {
	p.t.Helper()
	crashes := p.crashes()
	diff := p.play(script)
	if p.crashes() == crashes {
		return diff
	}
	p.t.Logf("%s: the server crashed", script.Name)
	return ""
}

func (p *pair) crashes() int {
	return strings.Count(p.cluster.Log(0), "was terminated by signal 11")
}

// exec runs sql on the primary, which may have crashed just now.
func (p *pair) exec(sql string) {
	p.t.Helper()
	for deadline := time.Now().Add(recovery); ; time.Sleep(recovery / 100) {
		err := p.cluster.Exec(p.t.Context(), 0, "postgres", sql)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal(err)
		}
	}
}

func (p *pair) play(script *parity.Script) string {
	p.t.Helper()
	p.made++
	names := [2]string{fmt.Sprintf("r%05dd", p.made), fmt.Sprintf("r%05dh", p.made)}
	var lines [2][]string
	for i, address := range []string{p.direct, p.through} {
		p.exec("CREATE DATABASE " + names[i] + " TEMPLATE fixture")
		var err error
		lines[i], err = parity.Run(p.t.Context(), script, parity.Target{Address: address, Database: names[i], Cluster: p.cluster})
		if err != nil {
			lines[i] = append(lines[i], "error: "+err.Error())
		}
	}
	for _, name := range names {
		p.exec("DROP DATABASE " + name + " WITH (FORCE)")
	}
	return parity.Compare(lines[0], lines[1])
}

// shrink leaves out what the difference does not need: halves, then less.
func (p *pair) shrink(script *parity.Script, diff string) (*parity.Script, string) {
	p.t.Helper()
	tries, start := 0, time.Now()
	for size := len(script.Steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(script.Steps)-2 && tries < shrinkTries && time.Since(start) < shrinkTime; tries++ {
			less := *script
			less.Steps = slices.Delete(slices.Clone(script.Steps), at, at+size)
			if d := p.compare(&less); d != "" {
				script, diff = &less, d
			} else {
				at += size
			}
		}
	}
	return script, diff
}
