package cluster

import (
	"sync"
	"time"
)

// maxCommandRuns is how many runs of commands are kept for operators; older ones are in the log.
const maxCommandRuns = 50

// CommandRun is one run of a configured command: failover_command and its kin, or recovery.
type CommandRun struct {
	// At is when it ended.
	At            time.Time
	Command, Node string
	// Status is its exit status, -1 if it was killed or could not be started.
	Status int
	Took   time.Duration
	// Output is the end of what it wrote, standard output and standard error together.
	Output string
	// Err says why it counts as failed; empty if it succeeded.
	Err string
}

// commandRuns are the latest, oldest first.
type commandRuns struct {
	mu  sync.Mutex
	all []CommandRun
}

// Commands are the latest runs of commands, the oldest first.
func (c *Cluster) Commands() []CommandRun {
	c.runs.mu.Lock()
	defer c.runs.mu.Unlock()
	return append([]CommandRun(nil), c.runs.all...)
}

// ran logs and keeps what a command left behind.
func (c *Cluster) ran(command, node string, h hookResult, err error) {
	run := CommandRun{At: time.Now(), Command: command, Node: node, Status: h.status, Took: h.took, Output: h.output}
	if err != nil {
		run.Err = err.Error()
	}
	c.log.Info("command ended", "command", command, "node", node, "status", h.status, "took", h.took, "output", h.output)
	c.runs.mu.Lock()
	defer c.runs.mu.Unlock()
	c.runs.all = append(c.runs.all, run)
	if over := len(c.runs.all) - maxCommandRuns; over > 0 {
		c.runs.all = append([]CommandRun(nil), c.runs.all[over:]...)
	}
}
