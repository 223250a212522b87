package socket

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring(7) by which many sends are one system call. None of them may wait for room (MSG_DONTWAIT), so that each is done, in full,
// in part or not at all, when that call returns, and nothing is under way in between. It is of one goroutine at a time, which may change threads.
type ring struct {
	fd int

	submitted *uint32 // the submission queue's tail, which is ours
	sqes      []submission
	sqMask    uint32

	completed, taken *uint32 // the completion queue's tail, which is the kernel's, and its head, which is ours
	cqes             []completion
	cqMask           uint32

	queues, entries []byte // what is mapped
}

// submission is struct io_uring_sqe, as far as a send needs it.
type submission struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off           uint64
	addr          uint64
	len           uint32
	msgFlags      uint32
	userData      uint64
	_             [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	userData uint64
	res      int32 // what was sent, or a negative errno
	flags    uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32
	_                                                                  [3]uint32

	sqHead, sqTail, sqMask, sqRingEntries, sqFlags, sqDropped, sqArray, _ uint32
	_                                                                     uint64

	cqHead, cqTail, cqMask, cqRingEntries, cqOverflow, cqCQEs, cqFlags, _ uint32
	_                                                                     uint64
}

// Of io_uring.h.
const (
	opSend            = 26
	featureSingleMmap = 1 << 0
	offsetRings       = 0
	offsetEntries     = 0x10000000
	enterGetEvents    = 1 << 0
)

// ringSize is how many sends a system call makes at most.
const ringSize = 64

// newRing returns an error where the kernel has no io_uring, does not let us use it, or has one that cannot send so.
func newRing() (*ring, error) {
	r, err := openRing()
	if err != nil {
		return nil, err
	}
	if err := r.try(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func openRing() (r *ring, err error) {
	var p ringParams
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r = &ring{fd: int(fd), sqMask: p.sqEntries - 1, cqMask: p.cqEntries - 1}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if p.features&featureSingleMmap == 0 || p.sqEntries < ringSize || p.cqEntries < ringSize {
		return nil, errors.ErrUnsupported
	}
	size := max(p.sqArray+p.sqEntries*4, p.cqCQEs+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	const access, kind = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.queues, err = unix.Mmap(r.fd, offsetRings, int(size), access, kind); err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	if r.entries, err = unix.Mmap(r.fd, offsetEntries, int(p.sqEntries)*int(unsafe.Sizeof(submission{})), access, kind); err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[offset])) }
	r.submitted, r.taken, r.completed = at(p.sqTail), at(p.cqHead), at(p.cqTail)
	r.sqes = unsafe.Slice((*submission)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*completion)(unsafe.Pointer(&r.queues[p.cqCQEs])), p.cqEntries)
	for i, array := uint32(0), unsafe.Slice(at(p.sqArray), p.sqEntries); i < p.sqEntries; i++ {
		array[i] = i // each place of the queue has its own entry
		r.sqes[i] = submission{opcode: opSend, msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL}
	}
	return r, nil
}

func (r *ring) close() {
	for _, mapped := range [][]byte{r.queues, r.entries} {
		if mapped != nil {
			unix.Munmap(mapped) //nolint:errcheck // it is mapped
		}
	}
	closeFD(r.fd)
}

// try makes sure of what send relies on: that a send is done when the system call returns, also if the socket has no room.
func (r *ring) try() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer closeFD(pair[0])
	defer closeFD(pair[1])
	c := &Conn{fd: int32(pair[0])}
	all, much := make([]pending, ringSize), make([]byte, 64<<10)
	for i := range all {
		all[i] = pending{c: c, p: much}
	}
	if r.send(all) != len(all) {
		return errors.ErrUnsupported
	}
	first, last := all[0], all[len(all)-1]
	if first.errno != 0 || first.n == 0 || last.errno != unix.EAGAIN {
		return fmt.Errorf("sends by io_uring: %d bytes (%v), without room %w", first.n, first.errno, last.errno)
	}
	return nil
}

// send makes the sends, of which there are at most ringSize, and notes what became of them. It returns how many of them, from the first one on,
// were made: all, unless the kernel takes no more.
func (r *ring) send(all []pending) (made int) {
	tail := *r.submitted
	for i := range all {
		p := &all[i]
		e := &r.sqes[(tail+uint32(i))&r.sqMask] // the rest of it is the same for all sends
		e.fd, e.addr, e.len, e.userData = p.c.fd, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p.p)))), uint32(len(p.p)), uint64(i)
	}
	atomic.StoreUint32(r.submitted, tail+uint32(len(all)))
	for made < len(all) {
		n, errno := r.enter(len(all)-made, 0, 0)
		if errno != 0 && errno != unix.EINTR || errno == 0 && n == 0 {
			break
		}
		made += n
	}
	// What was not taken never will be: the kernel looks at the queue only while it is entered.
	atomic.StoreUint32(r.submitted, tail+uint32(made))
	for done := r.reap(all); done < made; done += r.reap(all) {
		// It should not be so. As long as a send is under way what it sends must stay, so there is nothing but to wait.
		r.enter(0, 1, enterGetEvents) //nolint:errcheck // it is tried again
	}
	return made
}

// reap notes what became of the sends that are done.
func (r *ring) reap(all []pending) (n int) {
	head, tail := *r.taken, atomic.LoadUint32(r.completed)
	for ; head != tail; head++ {
		c := &r.cqes[head&r.cqMask]
		p := &all[c.userData]
		if c.res >= 0 {
			p.n, p.errno = int(c.res), 0
		} else {
			p.n, p.errno = 0, syscall.Errno(-c.res)
		}
		n++
	}
	atomic.StoreUint32(r.taken, head)
	return n
}

// enter is io_uring_enter(2). The scheduler is not told, as none of the sends waits.
func (r *ring) enter(submit, wait, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), uintptr(wait), uintptr(flags), 0, 0)
	return int(n), errno
}
