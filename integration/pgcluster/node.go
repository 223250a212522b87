package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netns"

	"github.com/howdah/howdah/integration/launch"
)

// node is one server. Its process fields change under mu; everything else is
// fixed by New.
type node struct {
	id   int
	dir  string
	port int

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for; nil while nothing runs
}

func nodeName(i int) string { return fmt.Sprintf("node%d", i) }

func (n *node) name() string    { return nodeName(n.id) }
func (n *node) logFile() string { return n.dir + ".log" }

// StartNode starts node i and returns when it accepts connections. A node that
// runs is left alone. What is left of one that was killed is waited for: a server
// does not start beside it, and it may still answer.
func (c *Cluster) StartNode(ctx context.Context, i int) error {
	n := c.nodes[i]
	if n.running() {
		return nil
	}
	if err := c.ensureKeeper(); err != nil {
		return err
	}
	if err := c.WaitGone(ctx, i); err != nil {
		return err
	}
	if err := c.spawn(n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		_, err := c.Value(ctx, i, "postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		if !n.running() {
			return fmt.Errorf("start node %d: the server ended: %s", i, lastLines(c.Log(i), 5))
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("start node %d: %w: %s", i, err, lastLines(c.Log(i), 5))
		}
	}
}

func (c *Cluster) spawn(n *node) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of node %d: %w", n.id, err)
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", n.dir)
	cmd.Stdout, cmd.Stderr = log, log
	clock, err := clockEnv(c.options.Clocks[n.id])
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.id, err)
	}
	cmd.Env = append(serverEnv(), clock...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // a terminal's Ctrl-C is for us alone
		Pdeathsig:  syscall.SIGQUIT,
		Credential: c.account.credential(),
	}
	ended, err := launch.Start(cmd, func() error { return enter(c.host(n.id).Namespace) })
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.id, err)
	}
	exited := make(chan struct{})
	go func() { // ends with the server; halt sees to that
		<-ended // how is in its log
		close(exited)
	}()
	n.cmd, n.exited = cmd, exited
	return nil
}

// enter takes the calling thread, which ends with its goroutine, into a network namespace.
func enter(namespace string) error {
	if namespace == "" {
		return nil
	}
	space, err := netns.GetFromName(namespace)
	if err != nil {
		return fmt.Errorf("find network namespace %s: %w", namespace, err)
	}
	defer space.Close()
	if err := netns.Set(space); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", namespace, err)
	}
	return nil
}

func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.exited == nil {
		return false
	}
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// signal sends sig to the postmaster and waits until it is gone.
func (n *node) signal(sig syscall.Signal, timeout time.Duration) error {
	if !n.running() {
		return nil
	}
	n.mu.Lock()
	cmd, exited := n.cmd, n.exited
	n.mu.Unlock()
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal node %d: %w", n.id, err)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("stop node %d: still running %v after %v", n.id, timeout, sig)
	}
}

// halt ends the node in the quickest way that also ends its children and frees
// its shared memory.
func (n *node) halt() error {
	if err := n.signal(syscall.SIGQUIT, stopTimeout); err != nil {
		return errors.Join(err, n.signal(syscall.SIGKILL, stopTimeout))
	}
	return freeSharedMemory(n.dir)
}

// StopNode shuts node i down cleanly (a "fast" shutdown: open transactions are
// rolled back).
func (c *Cluster) StopNode(i int) error {
	return c.nodes[i].signal(syscall.SIGINT, stopTimeout)
}

// Kill ends node i as a crash would: SIGKILL to its postmaster. Its children
// notice and end by themselves within moments.
func (c *Cluster) Kill(i int) error {
	return c.nodes[i].signal(syscall.SIGKILL, stopTimeout)
}

// WaitGone returns when no process of node i is left: the children of a killed
// postmaster take a moment to notice.
func (c *Cluster) WaitGone(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for {
		pids, err := c.processes(i)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the processes of node %d to end: %w", i, err)
		}
	}
}

// processes are the process ids of node i: every process of a server lives in its data directory.
func (c *Cluster) processes(i int) ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, link := range links {
		if dir, err := os.Readlink(link); err != nil || dir != c.nodes[i].dir {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Hang stops all processes of node i where they are (SIGSTOP), as a host that hangs would. Unhang must follow
// before Close.
func (c *Cluster) Hang(i int) error { return c.signalAll(i, syscall.SIGSTOP) }

// Unhang lets them go on.
func (c *Cluster) Unhang(i int) error { return c.signalAll(i, syscall.SIGCONT) }

func (c *Cluster) signalAll(i int, sig syscall.Signal) error {
	pids, err := c.processes(i)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal process %d of node %d: %w", pid, i, err)
		}
	}
	return nil
}

// Pid is the process id of node i's postmaster, 0 if it does not run.
func (c *Cluster) Pid(i int) int {
	n := c.nodes[i]
	if !n.running() {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

// Restart stops node i cleanly if it runs, and starts it.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	if err := c.StopNode(i); err != nil {
		return err
	}
	return c.StartNode(ctx, i)
}

// pause waits one polling interval or until ctx ends.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollEvery):
		return nil
	}
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], " | ")
}
