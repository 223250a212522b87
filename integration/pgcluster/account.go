package pgcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// account is who the servers run as. PostgreSQL refuses to run as root, so root
// becomes postgres; anyone else stays who they are (change is false).
type account struct {
	uid, gid uint32
	change   bool
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("find the account PostgreSQL runs as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read uid of postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read gid of postgres: %w", err)
	}
	return account{uid: uint32(uid), gid: uint32(gid), change: true}, nil
}

func (a account) credential() *syscall.Credential {
	if !a.change {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// own gives path to the account.
func (a account) own(path string) error {
	if !a.change {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to the server's account: %w", path, err)
	}
	return nil
}

// mkdir makes a directory that the account owns; parents that are made on the way
// are open to it.
func (a account) mkdir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return a.own(path)
}

// serverEnv is the environment of the servers: none of the caller's PG variables.
func serverEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
}

// clockEnv gives a server another time of day; time that passes stays as it is.
func clockEnv(shift time.Duration) ([]string, error) {
	if shift == 0 {
		return nil, nil
	}
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(found) == 0 {
		return nil, errors.New("find libfaketime: no /usr/lib/*/faketime/libfaketime.so.1; install it (scripts/deps.sh test)")
	}
	return []string{"LD_PRELOAD=" + found[0], fmt.Sprintf("FAKETIME=%+d", int64(shift.Seconds())), "FAKETIME_DONT_FAKE_MONOTONIC=1"}, nil
}

// findBin returns the directory of the server programs.
func findBin(bin string) (string, error) {
	if bin == "" {
		bin = os.Getenv("HOWDAH_PG_BIN")
	}
	if bin == "" {
		found := installed("postgres")
		if len(found) == 0 {
			return "", errors.New("find PostgreSQL: no /usr/lib/postgresql/*/bin/postgres; install it (scripts/deps.sh) or set HOWDAH_PG_BIN")
		}
		bin = filepath.Dir(found[len(found)-1])
	}
	if _, err := exec.LookPath(filepath.Join(bin, "postgres")); err != nil {
		return "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	return bin, nil
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on, and that is this process's
// until it ends: packages are tested side by side. It is taken from below the range the kernel
// uses for outgoing connections, so that none of these takes it before its server starts.
func FreePort() (int, error) {
	const lowest, count, attempts = 12_000, 20_000, 1000
	for range attempts {
		port := lowest + rand.IntN(count)
		claim, err := net.Listen("unix", fmt.Sprintf("@howdah-port-%d", port)) // no file: it goes with the process
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			claim.Close()
			continue
		}
		claims.Store(port, claim)
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("close probe of port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: %d attempts failed", attempts)
}

// claims keeps the listeners that hold ports from being collected.
var claims sync.Map

func freePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	taken := map[int]bool{}
	for len(ports) < count {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		if !taken[port] {
			taken[port] = true
			ports = append(ports, port)
		}
	}
	return ports, nil
}
