package quorum

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit changes a limit of the host's howdah while it runs, and returns what it was.
func (h *host) limit(what int, to uint64) (was uint64) {
	h.t.Helper()
	var old unix.Rlimit
	pid := h.cmd.Process.Pid
	err := unix.Prlimit(pid, what, nil, &old)
	if err == nil {
		err = unix.Prlimit(pid, what, &unix.Rlimit{Cur: to, Max: old.Max}, nil)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return old.Cur
}

// descriptors is how many the host's howdah has open.
func (h *host) descriptors() uint64 {
	h.t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(h.cmd.Process.Pid), "fd"))
	if err != nil {
		h.t.Fatal(err)
	}
	return uint64(len(list))
}

// memory is what the host's howdah has of writable memory of its own, in bytes.
func (h *host) memory() uint64 {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(h.cmd.Process.Pid), "status"))
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmData:"); ok {
			kb, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				h.t.Fatal(err)
			}
			return kb * 1024
		}
	}
	h.t.Fatal("no VmData")
	return 0
}

// crowd opens connections from the clients' namespace to a host until it has so many, and returns what closes them.
func (n *network) crowd(h *host, count int) (leave func()) {
	n.t.Helper()
	var conns []net.Conn
	err := n.inside(n.client(), func() error {
		for range count {
			d := net.Dialer{Timeout: 200 * time.Millisecond, FallbackDelay: -1}
			conn, err := d.Dial("tcp4", h.address+":9999")
			if err != nil {
				continue // the host takes no more
			}
			conns = append(conns, conn)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
}

// fillMemory has clients send a host the most of a long statement each, which howdah keeps until the rest is there, until its howdah
// has ended, and returns when that was.
func (n *network) fillMemory(h *host) (ended time.Time) {
	n.t.Helper()
	const size = 1<<20 - 1024 // limits.max_buffered, less some
	part := append(binary.BigEndian.AppendUint32([]byte{'Q'}, size), bytes.Repeat([]byte{' '}, size-1024)...)
	w := &writer{n: n, address: h.address}
	n.within(time.Minute, func() string {
		select {
		case <-h.ended:
			ended = time.Now()
			return ""
		default:
		}
		ctx, cancel := context.WithTimeout(n.t.Context(), time.Second)
		defer cancel()
		if conn, err := w.connect(ctx); err == nil {
			n.t.Cleanup(func() { conn.PgConn().Conn().Close() })
			conn.PgConn().Conn().SetDeadline(time.Now().Add(time.Second))
			conn.PgConn().Conn().Write(part)
		}
		return h.name + " goes on without memory"
	})
	return ended
}

// Row 10. A leader that has no file descriptors any more cannot serve clients, and one that gets no memory dies: another has the
// address soon, and there is no failover.
func TestLeaderIsExhausted(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2")
	c := n.startServers(1, "")
	old := n.startAll()
	n.recorded("")
	n.serves(t)
	n.neverTwo()
	t.Run("descriptors", func(t *testing.T) {
		usual := old.limit(unix.RLIMIT_NOFILE, old.descriptors()+4)
		began := time.Now()
		leave := n.crowd(old, 40)
		next := n.answeredBy(old)
		t.Logf("%s answers at the address %s after the first of many clients came", next.name, time.Since(began).Round(time.Millisecond))
		leave()
		n.serves(t)
		n.noFailover(t, c)
		old.limit(unix.RLIMIT_NOFILE, usual)
		n.ready()
		n.writeTo(old.address).more(5) // it serves again
	})
	t.Run("memory", func(t *testing.T) {
		old := n.owner()
		old.limit(unix.RLIMIT_DATA, old.memory())
		began := n.fillMemory(old)
		said := old.log.String() // by the runtime, for the heap; by an allocation; or by libc, for a thread's stack
		if !strings.Contains(said, "out of memory") && !strings.Contains(said, "cannot allocate memory") && !strings.Contains(said, "pthread_create failed") {
			t.Error("it died of something else")
		}
		old.cmd = nil
		n.taken(old, began, "no memory at the leader")
		old.start()
		n.ready()
		n.serves(t)
		n.noFailover(t, c)
	})
}

// withDisk gives a host's howdah a disk of its own, of 32 MB.
func (h *host) withDisk() {
	h.t.Helper()
	image := filepath.Join(h.dir, "disk-"+h.name)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Truncate(image, 32<<20); err != nil {
		h.t.Fatal(err)
	}
	if err := os.MkdirAll(h.data(), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image)
	h.run("mount", "-o", "loop", image, h.data())
	h.t.Cleanup(func() {
		h.network.remove() // howdah ends first
		h.run("umount", h.data())
	})
	if err := os.Remove(filepath.Join(h.data(), "lost+found")); err != nil {
		h.t.Fatal(err)
	}
}

// lastSaid is when the host's howdah last logged a line with that text.
func (h *host) lastSaid(text string) time.Time {
	h.t.Helper()
	log := h.log.String()
	at := strings.LastIndex(log, text)
	if at < 0 {
		h.t.Fatalf("%s did not say %q", h.name, text)
	}
	stamp, _, _ := strings.Cut(strings.TrimPrefix(log[strings.LastIndex(log[:at], "\n")+1:], "time="), " ")
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

// fill leaves no room on the host's disk: what a file system keeps back for what it has not written yet it gives away later.
func (h *host) fill(filler string) {
	h.t.Helper()
	for _, size := range []string{"64k", "4k", "4k", "4k"} {
		out, err := exec.Command("dd", "if=/dev/zero", "of="+filler, "bs="+size, "oflag=append", "conv=notrunc,fsync").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "No space left") {
			h.t.Fatalf("the disk is not full: %s", out)
		}
	}
}

// Rows 11 and 12. The leader's disk is full, and then it hangs. Another one leads soon; the member with that disk goes on to
// serve its clients, and is as any other when the disk is well again.
func TestLeadersDisk(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2")
	c := n.startServers(1, "")
	n.patience = time.Minute // a leader that has little to write finds out late
	first := n.hosts[0]
	first.withDisk()
	n.startAll()
	n.recorded("")
	n.neverTwo()
	own := n.writeTo(first.address)
	own.more(5)
	for _, disk := range []struct {
		name, said    string
		breaks, heals func()
	}{
		{"full", "no space left on device", func() {
			first.fill(filepath.Join(first.data(), "filler"))
		}, func() {
			if err := os.Remove(filepath.Join(first.data(), "filler")); err != nil {
				t.Fatal(err)
			}
		}},
		{"hangs", "", func() { n.run("fsfreeze", "-f", first.data()) }, func() { n.run("fsfreeze", "-u", first.data()) }},
	} {
		t.Run(disk.name, func(t *testing.T) {
			n.lead(first)
			n.ready()
			began := time.Now()
			disk.breaks()
			healed := false
			defer func() {
				if !healed {
					disk.heals()
				}
			}()
			next := n.answeredBy(first)
			answered := time.Now()
			if disk.said != "" { // a while later: the file of the log has room in itself, and the file system may find some more after the first refusal
				began = first.lastSaid(disk.said)
			}
			took := answered.Sub(began)
			t.Logf("%s answers at the address after %s", next.name, took.Round(time.Millisecond))
			if took > 3500*time.Millisecond+slack {
				t.Errorf("it took %s", took)
			}
			own.more(20) // it serves clients, and knows by whose word, though its raft hears nothing
			n.eventually(func() string {
				if s, owner := first.status(), n.owner(); s == nil || string(s.Leader) != owner.name || !s.Writes {
					return fmt.Sprintf("%s leads, and %s says %+v", owner.name, first.name, s)
				}
				return ""
			})
			select {
			case err := <-first.ended:
				t.Fatalf("its howdah ended: %v", err)
			default:
			}
			disk.heals()
			healed = true
			n.ready()
			n.noFailover(t, c)
		})
	}
	own.end()
}

// guardian is the process id of the host's guardian.
func (h *host) guardian() int {
	h.t.Helper()
	pid := strconv.Itoa(h.cmd.Process.Pid)
	tasks, err := filepath.Glob(filepath.Join("/proc", pid, "task", "*", "children"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range strings.FieldsSeq(string(text)) {
			line, err := os.ReadFile(filepath.Join("/proc", child, "cmdline"))
			if err == nil && strings.Contains(string(line), "vip-guardian") {
				id, err := strconv.Atoi(child)
				if err != nil {
					h.t.Fatal(err)
				}
				return id
			}
		}
	}
	h.t.Fatalf("%s has no guardian", h.name)
	return 0
}

// Rows 2 and 4. The leader's howdah and its guardian are killed, or stopped as with a whole host that is paused. Nobody takes the address off:
// the kernel does, in time. Meanwhile it may be there twice, which harms no data: nobody writes through the old one.
func TestGuardianGoesToo(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	old := n.startAll()
	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		guardian := old.guardian()
		began := time.Now()
		if err := syscall.Kill(guardian, s); err != nil {
			t.Fatal(err)
		}
		old.signal(s)
		n.eventually(func() string {
			if old.has() {
				return "the kernel leaves the address at " + old.name
			}
			return ""
		})
		if took := time.Since(began); took > 3*time.Second+slack { // a lifetime of 2 s, as the kernel rounds it
			t.Errorf("%s: the address was gone after %s", s, took)
		}
		next := n.taken(old, time.Now().Add(-promised), s.String()+" of howdah and guardian")
		if s == syscall.SIGKILL {
			old.kill()
			old.start()
		} else {
			if err := syscall.Kill(guardian, syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			old.signal(syscall.SIGCONT)
		}
		if n.ready() != next {
			t.Error("the address went back")
		}
		old = next
	}
}
