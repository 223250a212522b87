package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

const (
	stopTimeout  = 10 * time.Second
	startTimeout = 20 * time.Second
	startPoll    = 20 * time.Millisecond
)

// process is a contender's (root) process. Its standard output and error go to
// a file. Stop it by stop; it also ends when this program does.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	stopSig syscall.Signal
	ended   chan struct{} // closed by the waiting goroutine, after waitErr is set
	waitErr error
}

// account is the operating system's user for the servers and proxies: several
// of them refuse to run as root. Nil means our own, when we are not root.
type account struct {
	cred     *syscall.Credential
	uid, gid int
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("find the user to run servers as: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return account{}, fmt.Errorf("read user postgres: %w", err)
	}
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return account{cred: cred, uid: uid, gid: gid}, nil
}

// diesWithUs makes a child get SIGKILL when the thread that starts it ends. So
// every child is started by the main goroutine, which main locks to its thread:
// that thread lives as long as the program. The child leads its own process
// group, so that a Ctrl-C reaches us alone and the end is in order.
func diesWithUs(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: cred}
}

// startProcess starts argv as acc with its output in logPath. Must be called by
// the main goroutine (see diesWithUs). stopSig ends the program in order; if we
// are killed ourselves the kernel sends it orphanSig.
func startProcess(acc account, name, logPath string, stopSig, orphanSig syscall.Signal, argv ...string) (*process, error) {
	out, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = "/"
	cmd.SysProcAttr = diesWithUs(acc.cred)
	cmd.SysProcAttr.Pdeathsig = orphanSig
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, logPath: logPath, stopSig: stopSig, ended: make(chan struct{})}
	go func() { // ends with the process; stop waits for it
		p.waitErr = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// waitListening returns once port takes connections.
func (p *process) waitListening(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at start (%v): %s", p.name, p.waitErr, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", p.name, address, context.Cause(ctx), p.logTail())
		case <-time.After(startPoll):
		}
	}
}

// explain adds to err what the process says of itself.
func (p *process) explain(err error) error {
	select {
	case <-p.ended:
		return fmt.Errorf("%w\n%s has ended (%v): %s", err, p.name, p.waitErr, p.logTail())
	default:
		return fmt.Errorf("%w\n%s says: %s", err, p.name, p.logTail())
	}
}

func (p *process) logTail() string {
	b, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(b))
}

// stop ends the process: in order, then by force together with what is left of
// its process group.
func (p *process) stop() {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(p.stopSig)
		select {
		case <-p.ended:
		case <-time.After(stopTimeout):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	// The group's number cannot have been given to another as long as one
	// member lives; with none this is ESRCH.
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
}
