package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// templateFormat is part of the template's name: raise it when what goes into a
// template changes.
const templateFormat = "1"

// ensureTemplate returns the directory of a data directory made by initdb and
// never started, making it once per PostgreSQL version and user.
func ensureTemplate(bin string, acc account) (string, error) {
	version, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask PostgreSQL's version: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("howdah-cache-%d", os.Getuid()))
	}
	cache = filepath.Join(cache, "howdah-pgcluster")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("make template cache: %w", err)
	}
	unlock, err := lockFile(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" /()", r) {
			return '-'
		}
		return r
	}, strings.TrimSpace(string(version)))
	template := filepath.Join(cache, fmt.Sprintf("%s-%d-%s", name, acc.uid, templateFormat))
	if _, err := os.Stat(filepath.Join(template, "PG_VERSION")); err == nil {
		return template, nil
	}
	return template, makeTemplate(bin, acc, template)
}

// makeTemplate runs initdb where the account may write, and moves the result to
// its place only when complete.
func makeTemplate(bin string, acc account, template string) (err error) {
	work, err := os.MkdirTemp("", "howdah-initdb-")
	if err != nil {
		return fmt.Errorf("make directory for initdb: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := acc.own(work); err != nil {
		return err
	}
	data := filepath.Join(work, "data")
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Env = serverEnv()
	cmd.Dir = work
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: acc.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run initdb: %w: %s", err, lastLines(string(out), 5))
	}
	fresh := template + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove unfinished template: %w", err)
	}
	if err := copyTree(data, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, template); err != nil {
		return fmt.Errorf("put template in place: %w", err)
	}
	return nil
}

// copyTree copies a directory with owners and modes, sharing blocks where the
// file system can.
func copyTree(from, to string) error {
	out, err := exec.Command("cp", "-a", "--reflink=auto", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w: %s", from, to, err, lastLines(string(out), 3))
	}
	return nil
}

// lockFile waits for an exclusive lock, which the kernel drops if this process dies.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing unlocks; a lock file has nothing to lose
}

// InitAnew replaces a stopped node's data directory by that of a new database system, as initdb makes it: a primary that has
// nothing to do with the others.
func (c *Cluster) InitAnew(i int) error {
	n := c.nodes[i]
	fresh := n.dir + ".new"
	if err := makeTemplate(c.bin, c.account, fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("remove data directory of %s: %w", n.name(), err)
	}
	if err := os.Rename(fresh, n.dir); err != nil {
		return fmt.Errorf("put new data directory of %s in place: %w", n.name(), err)
	}
	if err := c.configure(n); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(n.dir, "standby.signal"))
}
