package socket

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop waits for the sockets of one epoll instance.
type loop struct {
	started atomic.Bool
	fd      int
	wake    int // an eventfd(2) among its sockets
	waiter
	batch    Batch
	starting sync.Mutex
	// posted is a list of the sockets whose handlers are to be called, the last one first; asleep if there are none and the loop
	// must be woken when there are.
	posted atomic.Pointer[Conn]
}

// asleep is no socket.
var asleep = new(Conn)

// loops are made when they are first needed, and live as long as the process. There are as many in use as Go has processors.
var (
	loops [maxLoops]loop
	turn  atomic.Uint32
)

const maxLoops = 64

// watch has a loop tell the socket of its readiness from now on.
func watch(c *Conn) error {
	procs := runtime.GOMAXPROCS(0)
	alone.Store(procs == 1)
	l := &loops[int(turn.Add(1))%min(procs, maxLoops)]
	if err := l.start(); err != nil {
		return fmt.Errorf("make a loop for sockets: %w", err)
	}
	if c.fd >= maxFD {
		return fmt.Errorf("watch a socket: descriptor %d is over %d", c.fd, maxFD)
	}
	sockets.set(int(c.fd), c)
	c.loop = l
	err := control(l.fd, unix.EPOLL_CTL_ADD, int(c.fd), unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
	if err != nil {
		sockets.set(int(c.fd), nil)
	}
	return err
}

// Post has the socket's loop call the handler's Posted soon, after what it is at. It may be called by any goroutine, and does not wait, but not again
// before Posted has been called.
func (c *Conn) Post() {
	l := c.loop
	for {
		last := l.posted.Load()
		if c.next = last; last == asleep {
			c.next = nil
		}
		if !l.posted.CompareAndSwap(last, c) {
			continue
		}
		if last == asleep {
			// Each write is an event of its own: nobody need read it.
			one := uint64(1)
			syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.wake), uintptr(unsafe.Pointer(&one)), 8)
		}
		return
	}
}

// finish sends what is to be sent, and calls the handlers for which Post was called, in that order, and does so with what either leads to.
func (l *loop) finish() {
	for l.batch.flush(); !l.posted.CompareAndSwap(nil, asleep); l.batch.flush() {
		var first *Conn
		for c := l.posted.Swap(nil); c != nil; {
			c, c.next, first = c.next, first, c
		}
		for c := first; c != nil; c = first {
			first, c.next = c.next, nil // Posted may lead to another Post
			c.handler.Posted(&l.batch)
		}
	}
}

// forget is called before the socket is closed, by which the kernel takes it from its loop.
func forget(c *Conn) { sockets.set(int(c.fd), nil) }

// start starts the loop if it has not been.
func (l *loop) start() error {
	if l.started.Load() {
		return nil
	}
	l.starting.Lock()
	defer l.starting.Unlock()
	if l.started.Load() {
		return nil
	}
	err := l.open()
	if err != nil {
		l.close()
		return err
	}
	l.started.Store(true)
	go l.run() // as long as the process
	return nil
}

// open makes the loop's descriptors; close closes them if one could not be made.
func (l *loop) open() (err error) {
	l.fd, l.wake, l.timer, l.bell = -1, -1, -1, nil
	if l.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := control(l.fd, unix.EPOLL_CTL_ADD, l.wake, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return err
	}
	return l.waiter.open(l.fd)
}

func (l *loop) close() {
	l.waiter.close()
	for _, fd := range []int{l.fd, l.wake} {
		if fd >= 0 {
			closeFD(fd)
		}
	}
}

// eventsAtOnce bounds what a loop does before others get their turn.
const eventsAtOnce = 128

func (l *loop) run() {
	events := make([]unix.EpollEvent, eventsAtOnce)
	l.parked = l.parkedFn(events)
	for {
		if l.pace.stays {
			l.stay(events)
		}
		l.park()
	}
}

// serve does what is to be done for the sockets that events tell of, and what was posted; rung: the alarm is among them.
func (l *loop) serve(events []unix.EpollEvent) (rung bool) {
	l.batch.now = Now()
	l.posted.CompareAndSwap(asleep, nil)
	for i := range events {
		fd := int(events[i].Fd)
		if c := sockets.get(fd); c != nil {
			c.tell(events[i].Events, &l.batch)
		} else if fd == l.timer {
			l.alarm, rung = 0, true
		}
	}
	l.finish()
	return rung
}

// tell may be called for nothing: a number is used again when its socket is closed.
func (c *Conn) tell(events uint32, b *Batch) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ended.Store(true)
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.signal(writing, true, b)
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.signal(reading, true, b)
	}
}
