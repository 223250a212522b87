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
	raw     syscall.RawConn
	wake    int // an eventfd(2) among its sockets

	mu     sync.Mutex
	posted []func()
	spare  []func() // room for posted; the loop's own
	// awake: it will look at posted before it waits.
	awake bool
}

// loops are made when they are first needed, and live as long as the process. There are as many in use as Go has processors.
var (
	loops [maxLoops]loop
	turn  atomic.Uint32
)

const maxLoops = 64

// watch has a loop tell the socket of its readiness from now on.
func watch(c *Conn) error {
	l := &loops[int(turn.Add(1))%min(runtime.GOMAXPROCS(0), maxLoops)]
	if err := l.start(); err != nil {
		return fmt.Errorf("make a loop for sockets: %w", err)
	}
	if c.fd >= maxFD {
		return fmt.Errorf("watch a socket: descriptor %d is over %d", c.fd, maxFD)
	}
	sockets.set(int(c.fd), c)
	c.loop = l
	err := l.add(int(c.fd), unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
	if err != nil {
		sockets.set(int(c.fd), nil)
	}
	return err
}

func (l *loop) add(fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(l.fd), syscall.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// Post has the socket's loop call f soon, after what it is at. It may be called by any goroutine, and does not wait.
func (c *Conn) Post(f func()) {
	l := c.loop
	l.mu.Lock()
	l.posted = append(l.posted, f)
	wake := !l.awake
	l.awake = true
	l.mu.Unlock()
	if wake {
		// Each write is an event of its own: nobody need read it.
		one := uint64(1)
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.wake), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// runPosted calls what was posted, and what is meanwhile.
func (l *loop) runPosted() {
	for {
		l.mu.Lock()
		posted := l.posted
		if l.awake = len(posted) > 0; !l.awake {
			l.mu.Unlock()
			return
		}
		l.posted = l.spare
		l.mu.Unlock()
		for i, f := range posted {
			posted[i] = nil
			f()
		}
		l.spare = posted[:0]
	}
}

// forget is called before the socket is closed, by which the kernel takes it from its loop.
func forget(c *Conn) { sockets.set(int(c.fd), nil) }

// start starts the loop if it has not been.
func (l *loop) start() error {
	if l.started.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started.Load() {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	file, wake := (*os.File)(nil), -1
	if err = unix.SetNonblock(fd, true); err == nil { // so that it gets into Go's poller
		file = os.NewFile(uintptr(fd), "epoll")
		l.raw, err = file.SyscallConn()
	}
	if err == nil {
		wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if l.fd, l.wake = fd, wake; err == nil {
		err = l.add(wake, unix.EPOLLIN|unix.EPOLLET)
	}
	if err != nil {
		if file != nil {
			file.Close()
		} else {
			closeFD(fd)
		}
		if wake >= 0 {
			closeFD(wake)
		}
		return err
	}
	l.started.Store(true)
	go l.run() // as long as the process
	return nil
}

// eventsAtOnce bounds what a loop does before others get their turn.
const eventsAtOnce = 128

func (l *loop) run() {
	events := make([]unix.EpollEvent, eventsAtOnce)
	for {
		err := l.raw.Read(func(fd uintptr) bool {
			l.mu.Lock()
			l.awake = true
			l.mu.Unlock()
			n := pollNow(fd, events)
			for i := range events[:n] {
				if c := sockets.get(int(events[i].Fd)); c != nil {
					c.tell(events[i].Events)
				}
			}
			l.runPosted()
			return n == len(events) // then there may be more; otherwise whatever comes makes fd ready again
		})
		if err != nil {
			panic(fmt.Sprintf("socket: wait for sockets: %v", err)) // its file is never closed
		}
		runtime.Gosched()
	}
}

// tell may be called for nothing: a number is used again when its socket is closed.
func (c *Conn) tell(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ended.Store(true)
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.wr.tell()
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.rd.tell()
	}
}

// pollNow is epoll_wait(2) without waiting.
func pollNow(fd uintptr, events []unix.EpollEvent) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
		if errno == 0 {
			return int(n)
		}
		if errno != syscall.EINTR {
			panic(fmt.Sprintf("socket: epoll_pwait: %v", errno)) // its arguments are ours
		}
	}
}
