package vip_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/vip"
)

// holder is a process with a vip.Manager on a host.
type holder struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *logBuffer
	ended chan struct{}

	mu          sync.Mutex
	state       vip.State
	connections []vip.Connection
	counted     int
}

// line is what a holder prints.
type line struct {
	State       *vip.State       `json:",omitempty"`
	Connections []vip.Connection `json:",omitempty"`
	Listed      bool             `json:",omitempty"`
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// netlinkVIP is the usual section of a configuration; more are further lines of it.
func netlinkVIP(more ...string) string {
	return "mode: netlink\naddresses: [" + vip4 + ", \"" + vip6 + "\"]\ninterface: eth0\n" + strings.Join(more, "\n")
}

// configFile writes a configuration with this section vip.
func configFile(t *testing.T, section string) string {
	t.Helper()
	text := "backends: [{name: pg0, host: 127.0.0.1, port: 5500}]\nauth: {hba: [\"local all all trust\"]}\nlog: {level: debug}\nvip:\n"
	for l := range strings.Lines(section) {
		text += "  " + l
	}
	path := filepath.Join(t.TempDir(), "howdah.yml")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// startHolder starts a holder that wants nothing yet.
func (h *host) startHolder(section string) *holder {
	h.t.Helper()
	cmd := h.command(self(h.t), configFile(h.t, section))
	cmd.Env = append(os.Environ(), roleVariable+"=holder")
	p := &holder{t: h.t, cmd: cmd, log: &logBuffer{}, ended: make(chan struct{})}
	cmd.Stderr = p.log
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go p.read(out)
	h.t.Cleanup(func() {
		guardian := p.State().Process
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		<-p.ended
		if guardian != 0 { // it ends by itself, unless the test froze it
			_ = syscall.Kill(guardian, syscall.SIGCONT)
		}
		if h.t.Failed() {
			h.t.Logf("holder on %s:\n%s", h.name, p.log)
		}
	})
	within(h.t, patience, "the holder's first state", func() bool { s := p.State(); return s.Now != 0 && s.Order > 0 })
	return p
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *holder) read(out io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		p.mu.Lock()
		if l.State != nil {
			p.state = *l.State
		}
		if l.Listed {
			p.connections = l.Connections
			p.counted++
		}
		p.mu.Unlock()
	}
	_ = p.cmd.Wait()
}

func (p *holder) State() vip.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// say sends a line to the holder.
func (p *holder) say(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.stdin, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

// hold makes it hold the address, with a lease of so long that is renewed all the time.
func (p *holder) hold(lease time.Duration, more string) {
	p.t.Helper()
	p.say("hold %s %s", lease, more)
	within(p.t, patience, "the holder holds", func() bool { return p.State().Held })
}

// waitEvent waits for an event whose reason contains a text.
func (p *holder) waitEvent(kind vip.EventKind, text string) vip.Event {
	p.t.Helper()
	var found vip.Event
	within(p.t, patience, fmt.Sprintf("event %s with %q", kind, text), func() bool {
		for _, e := range p.State().Events {
			if e.Kind == kind && strings.Contains(e.Reason, text) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// signal signals the process itself; ip netns exec has become it.
func (p *holder) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// signalGuardian signals its guardian.
func (p *holder) signalGuardian(s syscall.Signal) int {
	p.t.Helper()
	pid := p.State().Process
	if pid == 0 {
		p.t.Fatal("there is no guardian")
	}
	if err := syscall.Kill(pid, s); err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// playHolder is the holder's process. It reads
//
//	hold LEASE [released] [peer ADDRESS]   from now on, renewed four times per lease
//	once LEASE                             once
//	will FILE                              left to the guardian with the next order
//	not                                    given up
//	release                                given up, and waited for
//	list                                   print the connections to the address
//	clients [JSON]                         these are on another host
func playHolder(path string) error {
	c, err := configs.Load(path)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := vip.New(c.VIP, c.Log, log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	out := json.NewEncoder(os.Stdout)
	var printing sync.Mutex
	tell := func(l line) {
		printing.Lock()
		defer printing.Unlock()
		_ = out.Encode(l)
	}
	m.Want(vip.Want{Reason: "not asked to yet"})
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	lines := make(chan string)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 8<<20)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	var want vip.Want
	var lease time.Duration
	var renew <-chan time.Time
	for {
		changed := m.Changed()
		s := m.State()
		tell(line{State: &s})
		select {
		case err := <-ended:
			s := m.State()
			tell(line{State: &s})
			return err
		case <-changed:
			continue
		case <-renew:
			want.Until = time.Now().Add(lease)
			m.Want(want)
			renew = time.After(lease / 4)
			continue
		case text := <-lines:
			words := strings.Fields(text)
			switch words[0] {
			case "hold", "once":
				if lease, err = time.ParseDuration(words[1]); err != nil {
					return err
				}
				want = vip.Want{Holder: true, Epoch: 1, Until: time.Now().Add(lease)}
				for i, w := range words {
					switch w {
					case "released":
						want.Released = true
					case "peer":
						want.Peers = append(want.Peers, netip.MustParseAddr(words[i+1]))
					}
				}
				m.Want(want)
				if renew = nil; words[0] == "hold" {
					renew = time.After(lease / 4)
				}
			case "will":
				m.Will([]byte(strings.Join(words[1:], "")))
			case "not":
				renew = nil
				m.Want(vip.Want{Epoch: 2, Reason: "told not to"})
			case "release":
				renew = nil
				if err := m.Release(ctx, 2, "told to release"); err != nil {
					return err
				}
			case "list":
				list, err := m.Connections()
				if err != nil {
					return err
				}
				tell(line{Connections: list, Listed: true})
			case "clients":
				var list []vip.Connection
				if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "clients ")), &list); err != nil {
					return err
				}
				m.SetClients(list)
			}
		}
	}
}
