package howdahtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/launch"
	"github.com/howdah/howdah/integration/pgcluster"
)

// Times that bound what a test waits for.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 60 * time.Second
	pollEvery    = 10 * time.Millisecond
)

// Server is a running howdah.
type Server struct {
	Port int
	Dir  string // its configuration and log

	options Options
	cmd     *exec.Cmd
	exited  chan struct{} // closed when waitErr is set
	waitErr error
}

// Start starts a howdah and returns when it accepts connections. At the test's end
// it is stopped by SIGTERM and must end with exit code 0 and a log without a race
// or panic.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	port, err := pgcluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Launch(Bin(t), t.TempDir(), port, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if err := s.keepLog(t); err != nil {
			t.Error(err)
		}
		if fault := s.logFault(); fault != "" {
			t.Errorf("howdah's log has %q:\n%s", fault, s.excerpt(fault))
		} else if t.Failed() {
			t.Logf("howdah's log, but for what it refused to clients, ends with:\n%s", tail(reRefused.ReplaceAllString(s.Log(), ""), 25))
		}
	})
	return s
}

// Launch starts the howdah in bin on port, with its files in dir, and returns when
// it accepts connections. The caller stops it.
func Launch(bin, dir string, port int, options Options) (*Server, error) {
	s := &Server{Port: port, Dir: dir, options: options, exited: make(chan struct{})}
	if err := writeConfig(s.ConfigFile(), options, port); err != nil {
		return nil, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer log.Close() //nolint:errcheck // howdah has its own descriptor
	s.cmd = exec.Command(bin, "serve", "-c", s.ConfigFile())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66", "GOTRACEBACK=all")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	ended, err := launch.Start(s.cmd, nil)
	if err != nil {
		return nil, fmt.Errorf("start howdah: %w", err)
	}
	go func() { // ends with howdah; Stop sees to that
		s.waitErr = <-ended
		close(s.exited)
	}()
	return s, s.waitAccepts()
}

// waitAccepts waits until the port takes connections. A connection that comes and
// goes without a word is nothing special to a server.
func (s *Server) waitAccepts() error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		conn, err := net.DialTimeout("tcp4", s.Address(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.exited:
			return fmt.Errorf("start howdah: it ended (%w):\n%s", errors.Join(s.waitErr), tail(s.Log(), 30))
		case <-time.After(pollEvery):
		}
	}
	return errors.Join(fmt.Errorf("start howdah: port %d does not accept:\n%s", s.Port, tail(s.Log(), 30)), s.Kill())
}

// Address is host:port.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// DSN is a connection string for database db as user; extra are further
// key=value words.
func (s *Server) DSN(user, db string, extra ...string) string {
	return strings.Join(append([]string{
		fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable", s.Port, user, db)}, extra...), " ")
}

// Pid is howdah's process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Exited is closed when howdah has ended.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// ConfigFile is the path of its configuration.
func (s *Server) ConfigFile() string { return filepath.Join(s.Dir, "howdah.yaml") }

func (s *Server) logFile() string { return filepath.Join(s.Dir, "howdah.log") }

// Log returns what howdah has written so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Reload writes the configuration anew from options (the port stays) and sends SIGHUP.
func (s *Server) Reload(options Options) error {
	if err := writeConfig(s.ConfigFile(), options, s.Port); err != nil {
		return err
	}
	return s.Signal(syscall.SIGHUP)
}

// Signal sends a signal to howdah.
func (s *Server) Signal(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal howdah: %w", err)
	}
	return nil
}

// Stop sends SIGTERM if howdah runs, waits, and returns an error unless it ended
// with exit code 0 by itself.
func (s *Server) Stop() error {
	select {
	case <-s.exited:
	default:
		if err := s.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	return s.Wait()
}

// Wait waits until howdah ends, and returns an error unless its exit code is 0.
func (s *Server) Wait() error {
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		err := fmt.Errorf("stop howdah: still running after %v; its goroutines are in its log", stopTimeout)
		err = errors.Join(err, s.Signal(syscall.SIGQUIT))
		select {
		case <-s.exited:
		case <-time.After(startTimeout):
		}
		return errors.Join(err, s.Kill())
	}
	if s.waitErr != nil {
		return fmt.Errorf("stop howdah: %w", s.waitErr)
	}
	return nil
}

// Kill ends howdah at once.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill howdah: %w", err)
	}
	<-s.exited
	return nil
}

// Descriptors counts howdah's open file descriptors.
func (s *Server) Descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid()))
	if err != nil {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(entries), nil
}

// logFault returns the first word of alarm in the log, or nothing.
func (s *Server) logFault() string {
	log := s.Log()
	for _, fault := range []string{"DATA RACE", "panic:", "panic=", "fatal error:", "goroutine 1 ["} {
		allowed := false
		for _, word := range s.options.AllowInLog {
			allowed = allowed || word == fault
		}
		if !allowed && strings.Contains(log, fault) {
			return fault
		}
	}
	return ""
}

// keepLog copies the log of a failed test to the directory $HOWDAH_KEEP, if set.
func (s *Server) keepLog(t testing.TB) error {
	return KeepLog(t, strconv.Itoa(s.Port), s.Log())
}

// KeepLog writes a failed test's log of one howdah to the directory $HOWDAH_KEEP, if set.
func KeepLog(t testing.TB, of, log string) error {
	dir := os.Getenv("HOWDAH_KEEP")
	if dir == "" || !t.Failed() {
		return nil
	}
	name := fmt.Sprintf("%s-%s.log", strings.ReplaceAll(t.Name(), "/", "-"), of)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(log), 0o600); err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	return nil
}

// excerpt is what the log says from the first occurrence of word on.
func (s *Server) excerpt(word string) string { return Excerpt(s.Log(), word) }

// Excerpt is what a log says from the first occurrence of word on, in short; nothing if it is not there.
func Excerpt(log, word string) string {
	const length = 4000
	from := strings.Index(log, word)
	if from < 0 {
		return ""
	}
	return log[from:min(len(log), from+length)]
}

// reRefused are lines that say of each client what the lines before say of the servers.
var reRefused = regexp.MustCompile(`(?m)^.* msg="statement refused" .*\n`)

func tail(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
