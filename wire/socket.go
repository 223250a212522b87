package wire

import (
	"syscall"
	"unsafe"
)

// recv and send are recvfrom(2) and sendto(2) on a non-blocking socket, made
// without telling the scheduler: they never block, so the handing over of the
// processor that syscall.Read would prepare for is pure cost (about a fifth of
// the price of relaying a small query).

func recv(fd uintptr, p []byte, flags int) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), uintptr(flags|syscall.MSG_DONTWAIT), 0, 0)
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

func send(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}
