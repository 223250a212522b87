package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// listener accepts by a socket of its own, which is the same listening socket of the kernel.
type listener struct {
	net.Listener
	own *Conn
}

// Listen makes connections of a TCP or Unix listener a *Conn each, with the options that the listener's socket has (tcp(7): keepalive,
// TCP_NODELAY). l belongs to the result; any other listener is returned as it is.
func Listen(l net.Listener) (net.Listener, error) {
	switch l.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return l, nil
	}
	own, err := take(l.(syscall.Conn), nil)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &listener{l, own}, nil
}

// Accept is net.Listener's.
func (l *listener) Accept() (net.Conn, error) {
	var fd int
	var errno syscall.Errno
	var sa syscall.RawSockaddrAny
	var size uint32
	if err := l.own.until(reading, func(own uintptr) bool {
		fd, errno = accept(own, &sa, &size)
		return errno != syscall.EAGAIN
	}); err != nil {
		return nil, err
	}
	if errno != 0 {
		return nil, os.NewSyscallError("accept4", errno)
	}
	c, err := newConn(fd, addrOf(&sa, size))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close is net.Listener's.
func (l *listener) Close() error { return errors.Join(l.Listener.Close(), l.own.Close()) }

// addrOf is a socket's address of size bytes.
func addrOf(sa *syscall.RawSockaddrAny, size uint32) net.Addr {
	switch sa.Addr.Family {
	case syscall.AF_INET:
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return &net.TCPAddr{IP: net.IP(append([]byte(nil), in.Addr[:]...)), Port: port(in.Port)}
	case syscall.AF_INET6:
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		addr := &net.TCPAddr{IP: net.IP(append([]byte(nil), in.Addr[:]...)), Port: port(in.Port)}
		if in.Scope_id != 0 {
			addr.Zone = zone(int(in.Scope_id))
		}
		return addr
	}
	un := (*syscall.RawSockaddrUnix)(unsafe.Pointer(sa))
	name := unsafe.Slice((*byte)(unsafe.Pointer(&un.Path[0])), len(un.Path))
	name = name[:min(max(int(size)-2, 0), len(name))]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return &net.UnixAddr{Name: string(name), Net: "unix"}
}

// port turns the order of bytes of the network into the host's.
func port(p uint16) int {
	return int(binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&p))[:]))
}

// zone is the name of an interface (RFC 4007, section 11).
func zone(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
