package socket

import (
	"syscall"
	"unsafe"
)

// Recv and Send are recvfrom(2) and sendto(2) on a non-blocking socket, made
// without telling the scheduler: they never block, so the handing over of the
// processor that syscall.Read would prepare for is pure cost (about a fifth of
// the price of relaying a small query).
func Recv(fd uintptr, p []byte, flags int) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), uintptr(flags|syscall.MSG_DONTWAIT), 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// Send is like Recv. A peer that is gone is an error, not a signal.
func Send(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

func accept(fd uintptr, sa *syscall.RawSockaddrAny, size *uint32) (int, syscall.Errno) {
	for {
		*size = syscall.SizeofSockaddrAny
		n, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(sa)), uintptr(unsafe.Pointer(size)),
			syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		if e != syscall.EINTR && e != syscall.ECONNABORTED {
			return int(n), e
		}
	}
}

func sockName(fd int, sa *syscall.RawSockaddrAny, size *uint32) bool {
	_, _, e := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(sa)), uintptr(unsafe.Pointer(size)))
	return e == 0
}

// shutdown ends both directions.
func shutdown(fd int) { syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), syscall.SHUT_RDWR, 0) }

func closeFD(fd int) { syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) } // nothing is unwritten: it cannot fail in a way that matters
