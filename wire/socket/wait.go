package socket

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter is how a loop waits: parked, its goroutine waits by Go's poller, and everything else has the processor. That takes three system calls for
// each time that it wakes. Where sockets become ready close upon each other, the loop stays in epoll_wait(2) instead, and the scheduler is not told:
// Go's processor stays its own. What does not come by a loop (timers, sockets of package net, a goroutine that returns from C or from a system call)
// then gets its turn after the next event, as the loop yields, or at the next tick, when it parks once.
type waiter struct {
	pace   pace
	tick   int      // a timerfd(2) among the loop's sockets
	bell   *os.File // an epoll instance that has the loop's, and is in Go's poller; it is heard while the loop is parked
	raw    syscall.RawConn
	bellFD int
	seen   uint32 // opened, when the loop last yielded
	parked func(uintptr) bool
	woken  bool // since it parked
}

// tickTime is how long those who need Go's processor wait at most for a loop that stays.
const tickTime = time.Millisecond

// alone is whether Go uses one processor only.
var alone atomic.Bool

// opened counts the goroutines that loops, and others, had go on.
var opened atomic.Uint32

func (w *waiter) open(loop int) (err error) {
	if w.tick, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := control(loop, unix.EPOLL_CTL_ADD, w.tick, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return err
	}
	if w.bellFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	err = unix.SetNonblock(w.bellFD, true) // so that it gets into Go's poller
	w.bell = os.NewFile(uintptr(w.bellFD), "epoll")
	if err == nil {
		w.raw, err = w.bell.SyscallConn()
	}
	if err == nil {
		err = control(w.bellFD, unix.EPOLL_CTL_ADD, loop, heard)
	}
	return err
}

func (w *waiter) close() {
	if w.tick >= 0 {
		closeFD(w.tick)
	}
	if w.bell != nil {
		w.bell.Close()
	}
}

// Of the bell: without silent, Go's poller would be woken for each event that a loop that stays deals with.
const (
	heard  = unix.EPOLLIN | unix.EPOLLET
	silent = 0
)

// park waits until sockets are ready, and for as long as the loop is not to stay in epoll_wait for more.
func (l *loop) park() {
	l.woken = false
	if err := l.raw.Read(l.parked); err != nil {
		panic(fmt.Sprintf("socket: wait for sockets: %v", err)) // its file is never closed
	}
	runtime.Gosched()
}

// parkedFn returns what is called before the loop parks, and whenever the bell has rung; it returns true to park no more.
func (l *loop) parkedFn(events []unix.EpollEvent) func(uintptr) bool {
	return func(uintptr) bool {
		n := poll(l.fd, events, 0)
		l.serve(events[:n])
		if !l.pace.stays && n > 0 {
			l.pace.woken(time.Since(epoch))
		}
		// There may be more if there was no room for it; otherwise whatever comes rings the bell again.
		done := n == len(events) || l.woken && l.pace.stays
		l.woken = true
		return done
	}
}

var epoch = time.Now()

// stay serves sockets until the next tick.
func (l *loop) stay(events []unix.EpollEvent) {
	if err := l.startTick(); err != nil {
		l.pace.stays = false // without it nobody else might get the processor
		return
	}
	rounds := 0
	for ticked := false; !ticked; {
		n := poll(l.fd, events, -1)
		if ticked = l.serve(events[:n]); n > 1 || n == 1 && !ticked {
			rounds++
		}
		// Where Go has more processors another one has seen to others, but for those whom the loop itself had go on.
		if now := opened.Load(); ticked || alone.Load() || now != l.seen {
			l.seen = now
			runtime.Gosched()
		}
	}
	l.pace.ticked(rounds)
	if err := control(l.bellFD, unix.EPOLL_CTL_MOD, l.fd, heard); err != nil {
		panic(fmt.Sprintf("socket: wait for sockets: %v", err)) // it worked before
	}
}

func (l *loop) startTick() error {
	after := unix.ItimerSpec{Value: unix.NsecToTimespec(tickTime.Nanoseconds())}
	if err := unix.TimerfdSettime(l.tick, 0, &after, nil); err != nil {
		return err
	}
	return control(l.bellFD, unix.EPOLL_CTL_MOD, l.fd, silent)
}

// pace decides how a loop waits.
type pace struct {
	stays bool
	// Parked, it was woken so many times since then.
	rounds int
	since  time.Duration
}

// busyRounds is how often within a tick a loop must have something to do, to stay for more.
const busyRounds = 3

// woken is told when a loop that was parked has something to do.
func (p *pace) woken(now time.Duration) {
	if now-p.since >= tickTime {
		p.since, p.rounds = now, 0
	}
	if p.rounds++; p.rounds >= busyRounds {
		*p = pace{stays: true}
	}
}

// ticked is told when a loop has stayed for a tick, and how often it had something to do meanwhile.
func (p *pace) ticked(rounds int) { p.stays = rounds >= busyRounds }

// poll is epoll_wait(2), for -1 or 0 ms; for -1 it may return for nothing. The scheduler is not told: it interrupts the wait by a signal if it needs
// the goroutine to stop.
func poll(fd int, events []unix.EpollEvent, ms int) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(ms), 0, 0)
		switch {
		case errno == 0:
			return int(n)
		case errno != syscall.EINTR:
			panic(fmt.Sprintf("socket: epoll_pwait: %v", errno)) // its arguments are ours
		case ms != 0:
			return 0
		}
		// A look that was cut short would be missed: the bell does not ring twice for the same.
	}
}

// control is epoll_ctl(2).
func control(epoll, op, fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}
