package quorum

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mountDisk gives the host's data directory a file system of its own, which ends with the test.
func (h *host) mountDisk() {
	h.t.Helper()
	image := filepath.Join(h.dir, h.name+".img")
	if err := os.MkdirAll(h.data(), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.run("truncate", "-s", "16M", image)
	h.run("mkfs.ext4", "-q", "-F", "-m", "0", image)
	h.run("mount", "-o", "loop", image, h.data())
	h.t.Cleanup(func() {
		h.network.remove() // the process ends first
		h.run("umount", h.data())
	})
}

// fillDisk leaves not a byte, and freeDisk gives all back.
func (h *host) fillDisk() {
	h.t.Helper()
	f, err := os.Create(h.filler())
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := f.Sync(); err != nil {
		h.t.Logf("sync: %v", err)
	}
}

func (h *host) freeDisk() {
	h.t.Helper()
	if err := os.Remove(h.filler()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) filler() string { return filepath.Join(h.data(), "filler") }

// The disk of the leader's data directory is full. Another member leads and has the address; the one with the full disk goes on serving
// its own clients, who write, and takes part again when there is room.
func TestLeaderWithAFullDiskServesOn(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	c := n.startServers(1, "")
	for _, h := range n.hosts {
		h.mountDisk()
	}
	owner := n.startAll()
	n.recorded("")
	n.neverTwo()
	own := n.writeTo(owner.address)
	own.more(20)
	owner.fillDisk()
	next := n.owner(n.others(owner)...)
	own.more(20)
	n.eventually(func() string {
		if !strings.Contains(owner.log.String(), "disk fails") && !strings.Contains(owner.log.String(), "cannot commit") {
			return "it does not say what is wrong with its disk"
		}
		return ""
	})
	conn, err := own.connect(t.Context()) // a new client, too
	if err != nil {
		t.Errorf("connect to the member without a disk: %v", err)
	} else {
		conn.Close(t.Context())
	}
	if s := owner.answer(); s.Address || !s.Writes {
		t.Errorf("the member without a disk: %+v", s)
	}
	owner.freeDisk()
	if n.ready() != next {
		t.Error("the address went back")
	}
	n.eventually(func() string {
		if s := owner.status(); s == nil || s.Fitness != "fit" {
			return fmt.Sprintf("it does not take part again: %+v", s)
		}
		return ""
	})
	own.end()
	if lost := own.lost(c, 0, 0); len(lost) > 0 {
		t.Errorf("acknowledged writes are lost: %v", lost)
	}
	if got := promotions(t, c, 1); got != 0 {
		t.Errorf("%d promotions", got)
	}
}
