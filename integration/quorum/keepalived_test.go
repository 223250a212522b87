package quorum

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/launch"
)

// keepalived moves the address in the place of the watchdog, as is usual before proxies: VRRP every second (RFC 5798's default), and a
// script that looks every second whether the proxy of this host answers.
const keepalivedFile = `global_defs {
  router_id %[1]s
  script_user root
  enable_script_security
}
vrrp_script answers {
  script "%[2]s"
  interval 1
  timeout 1
  fall 1
  rise 1
}
vrrp_instance address {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 51
  priority %[3]d
  advert_int 1
  virtual_ipaddress {
    %[4]s/32
  }
  track_script {
    answers
  }
}
`

// answersScript asks the proxy of the host, as a client does, whether it has TLS.
const answersScript = `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/9999 || exit 1
printf '\0\0\0\10\4\322\26\57' >&3
read -r -N 1 -t 0.8 -u 3 answer
`

// keepalived is one of a host.
type keepalived struct {
	cmd   *exec.Cmd
	ended <-chan error
}

// keep starts keepalived on the host.
func (h *host) keep(priority int) *keepalived {
	h.t.Helper()
	script, file := filepath.Join(h.dir, "answers"), filepath.Join(h.dir, h.name+".keepalived")
	if err := os.WriteFile(script, []byte(answersScript), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, keepalivedFile, h.name, script, priority, floating), 0o600); err != nil {
		h.t.Fatal(err)
	}
	k := &keepalived{}
	k.cmd = exec.Command("ip", "netns", "exec", h.ns, "keepalived", "--vrrp", "-n", "-l", "-f", file, "-p", file+".pid", "-r", file+".vrrp.pid")
	k.cmd.Stdout, k.cmd.Stderr = h.log, h.log
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var err error
	if k.ended, err = launch.Start(k.cmd, nil); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			h.t.Log(err)
		}
		select {
		case <-k.ended:
		case <-time.After(10 * time.Second):
			h.t.Errorf("keepalived on %s does not end", h.name)
			_ = k.cmd.Process.Kill()
		}
	})
	return k
}

// BenchmarkTakeoverByKeepalived measures the same as BenchmarkTakeover with keepalived, where it can: nobody tells it to yield.
func BenchmarkTakeoverByKeepalived(b *testing.B) {
	for _, event := range takeovers[:3] {
		b.Run("keepalived/"+event.name, func(b *testing.B) {
			n := newNetwork(b, "p1", "p2", "p3")
			n.dialTimeout = attempt
			howdahtest.Bin(b)
			for i, h := range n.hosts {
				text := fmt.Sprintf("backends: %s\nauth: {hba: [\"host all all all trust\"]}\nlimits: {threads: 2}\nlisten: {addresses: [\"*\"], port: 9999}\n", n.backends)
				if err := os.WriteFile(h.file(), []byte(text), 0o600); err != nil {
					b.Fatal(err)
				}
				h.start()
				h.keep(100 - i)
			}
			n.takeAway(b, event.happens, event.undo)
		})
	}
}

// takeAway measures how long the address takes each time something happens to its owner, and undoes that.
func (n *network) takeAway(b *testing.B, happens, undo func(owner *host)) {
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		owner := n.settled()
		b.StartTimer()
		began := time.Now()
		happens(owner)
		n.answeredBy(owner)
		took = append(took, time.Since(began))
		b.StopTimer()
		undo(owner)
		b.StartTimer()
	}
	report(b, took)
}

// settled waits until one host has the address for so long that the others have seen it, and that their own proxies answer. One that was
// cut off with a higher priority takes it back.
func (n *network) settled() (owner *host) {
	n.t.Helper()
	var since time.Time
	n.eventually(func() string {
		var have []*host
		for _, h := range n.hosts {
			if h.has() {
				have = append(have, h)
			}
		}
		switch {
		case len(have) != 1:
			since = time.Time{}
			return fmt.Sprintf("%d hosts have the address", len(have))
		case since.IsZero() || owner != have[0]:
			owner, since = have[0], time.Now()
		}
		if time.Since(since) < 5*time.Second {
			return "the address moves"
		}
		return ""
	})
	return owner
}
