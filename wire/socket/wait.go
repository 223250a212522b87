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
// then gets its turn after the next event, as the loop yields, or after a tick, when it parks once; if there is no event, when the alarm rings.
type waiter struct {
	pace   pace
	timer  int      // a timerfd(2) among the loop's sockets
	alarm  int64    // when the timer rings (Now); 0 if it is not set
	bell   *os.File // an epoll instance that has the loop's, and is in Go's poller; it is heard while the loop is parked
	raw    syscall.RawConn
	bellFD int
	seen   uint32 // opened, when the loop last looked
	// hurried: there was somebody who was had go on, after the alarm was set.
	hurried bool
	parked  func(uintptr) bool
	woken   bool // since it parked
}

// Those who need Go's processor wait at most tickTime for a loop that stays and has something to do; if it has not, those whom the
// loops had go on wait as long, and all others alarmTime. An alarm so near costs as much as some transactions: it
// has to be programmed into the processor's own timer, which a virtual machine must leave for.
const (
	tickTime  = time.Millisecond
	alarmTime = 10 * time.Millisecond
)

// alone is whether Go uses one processor only.
var alone atomic.Bool

// opened counts the goroutines that loops, and others, had go on.
var opened atomic.Uint32

func (w *waiter) open(loop int) (err error) {
	if w.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := control(loop, unix.EPOLL_CTL_ADD, w.timer, unix.EPOLLIN|unix.EPOLLET); err != nil {
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
	if w.timer >= 0 {
		closeFD(w.timer)
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
			l.pace.woken(l.batch.now)
		}
		// There may be more if there was no room for it; otherwise whatever comes rings the bell again.
		done := n == len(events) || l.woken && l.pace.stays
		l.woken = true
		return done
	}
}

// stay serves sockets for a tick, or longer if there is nothing to do.
func (l *loop) stay(events []unix.EpollEvent) {
	if err := control(l.bellFD, unix.EPOLL_CTL_MOD, l.fd, silent); err != nil {
		panic(fmt.Sprintf("socket: silence a loop's bell: %v", err)) // its arguments are ours
	}
	start, rounds := Now(), 0
	now := start
	for now-start < int64(tickTime) {
		if after := l.alarmIn(now); after > 0 && !l.setAlarm(after) {
			rounds = 0
			break
		}
		n := poll(l.fd, events, -1)
		if rung := l.serve(events[:n]); n > 1 || n == 1 && !rung {
			rounds++
		}
		now = l.batch.now
		// Where Go has more processors another one has seen to others, but for those whom the loop itself had go on.
		if l.look() || alone.Load() {
			runtime.Gosched()
		}
	}
	l.pace.stayed(rounds, time.Duration(now-start))
	if err := control(l.bellFD, unix.EPOLL_CTL_MOD, l.fd, heard); err != nil {
		panic(fmt.Sprintf("socket: wait for sockets: %v", err)) // it worked before
	}
}

// look reports whether anybody was had go on since it was last called.
func (w *waiter) look() bool {
	last := w.seen
	w.seen = opened.Load()
	w.hurried = w.hurried || w.seen != last
	return w.seen != last
}

// alarmIn is in what time the alarm must be set to ring, 0 if it rings early enough. A now that is past makes it ring early at most.
func (w *waiter) alarmIn(now int64) time.Duration {
	after := alarmTime
	if w.hurried {
		after = tickTime
	}
	if w.alarm != 0 && w.alarm-now <= int64(after) {
		return 0
	}
	return after
}

// setAlarm sets the alarm. If it cannot, the loop must not stay, as nobody else might get the processor.
func (w *waiter) setAlarm(after time.Duration) bool {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(after.Nanoseconds())}
	if err := unix.TimerfdSettime(w.timer, 0, &spec, nil); err != nil {
		return false
	}
	w.alarm, w.hurried = Now()+int64(after), false
	return true
}

// pace decides how a loop waits.
type pace struct {
	stays bool
	// Parked, it was woken so many times since then.
	rounds int
	since  int64 // Now
}

// busyRounds is how often within a tick a loop must have something to do, to stay for more.
const busyRounds = 3

// woken is told when a loop that was parked has something to do.
func (p *pace) woken(now int64) {
	if now-p.since >= int64(tickTime) {
		p.since, p.rounds = now, 0
	}
	if p.rounds++; p.rounds >= busyRounds {
		*p = pace{stays: true}
	}
}

// stayed is told when a loop has stayed for some time, and how often it had something to do meanwhile.
func (p *pace) stayed(rounds int, d time.Duration) {
	p.stays = time.Duration(rounds)*tickTime >= busyRounds*max(d, tickTime)
}

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
