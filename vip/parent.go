package vip

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// parent is the process that started this one. Its end is known for sure, unlike that of a socket, which it may close while it lives,
// and unlike that of a process number, which another process may get.
type parent struct {
	pidfd int // -1 if the kernel has none (before Linux 5.3)
	why   error
}

// watchParent fails if the parent has ended already.
func watchParent() (parent, error) {
	pid := os.Getppid()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return parent{-1, fmt.Errorf("watch process %d: %w", pid, err)}, nil
	}
	// A child gets another parent when its own ends, and nobody gets a process's number while it lives.
	if os.Getppid() != pid {
		unix.Close(fd)
		return parent{}, errors.New("the process that started this one has ended")
	}
	return parent{fd, nil}, nil
}

// awaitEnd returns nil once the parent has ended with all its threads: it will never send anything again.
func (p parent) awaitEnd(limit time.Duration) error {
	if p.pidfd < 0 {
		return p.why
	}
	for end := time.Now().Add(limit); ; {
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(time.Until(end), 0).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the end of howdah: %w", err)
		case n == 1 && fds[0].Revents&unix.POLLIN != 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("wait for the end of howdah: it closed its socket and still lives after %s", limit)
		}
	}
}

func (p parent) close() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
}
