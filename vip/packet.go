package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetIgnoreOutgoing keeps a packet socket from hearing this host (Linux 4.20).
const packetIgnoreOutgoing = 23

// maxFrame is the longest frame that is read; what announces is far shorter.
const maxFrame = 1 << 11

// neighbourFilter passes ICMPv6 neighbour advertisements only (packet(7)). It sees
// whole Ethernet frames.
var neighbourFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetLen + 6},                  // next header
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 3, K: protoICMPv6},       //
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetLen + ipv6Len},            // type
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: icmpAdvertisement}, //
	{Code: unix.BPF_RET | unix.BPF_K, K: maxFrame},                                       // take it
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},                                              // drop it
}

// wire sends and hears frames on one interface.
type wire struct {
	mac   net.HardwareAddr
	index int
	files []*os.File // one per protocol
}

// openWire opens packet sockets on an interface; they need CAP_NET_RAW. The caller
// closes it.
func openWire(index int, mac net.HardwareAddr, v4, v6 bool) (*wire, error) {
	if len(mac) != 6 {
		return nil, errors.New("open packet socket: the interface has no Ethernet address")
	}
	w := &wire{mac: mac, index: index}
	for _, p := range []struct {
		use    bool
		proto  uint16
		filter []unix.SockFilter
	}{{v4, etherARP, nil}, {v6, etherIPv6, neighbourFilter}} {
		if !p.use {
			continue
		}
		f, err := openPacket(index, p.proto, p.filter)
		if err != nil {
			w.close()
			return nil, err
		}
		w.files = append(w.files, f)
	}
	return w, nil
}

func openPacket(index int, proto uint16, filter []unix.SockFilter) (*os.File, error) {
	// Protocol 0 hears nothing yet: the filter must be there first.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if filter != nil {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("filter packet socket: %w", err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, packetIgnoreOutgoing, 1) // else our own frames are told by their sender
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(proto), Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind packet socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "packet socket"), nil
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// send sends a frame. Any of the sockets can: frames carry their own header.
func (w *wire) send(frame []byte) error {
	if len(w.files) == 0 {
		return errors.New("send frame: no packet socket")
	}
	if _, err := w.files[0].Write(frame); err != nil {
		return fmt.Errorf("send frame: %w", err)
	}
	return nil
}

// listen calls claimed for every claim of another host, until the wire is closed;
// one goroutine for each socket, and it returns when they have ended.
func (w *wire) listen(claimed func(claim)) {
	ended := make(chan struct{})
	for _, f := range w.files {
		go func() { // ended is waited for below
			defer func() { ended <- struct{}{} }()
			buf := make([]byte, maxFrame)
			for {
				n, err := f.Read(buf)
				if err != nil {
					if errors.Is(err, unix.ENETDOWN) {
						continue // the socket stays; it is told once each time
					}
					return
				}
				if c, ok := parseClaim(buf[:n]); ok && c.mac.String() != w.mac.String() {
					claimed(c)
				}
			}
		}()
	}
	for range w.files {
		<-ended
	}
}

func (w *wire) close() {
	for _, f := range w.files {
		f.Close()
	}
}

// sendTickles sends a packet to the client of every connection. The kernel routes
// them, so clients behind a router hear too. It needs CAP_NET_RAW, and the addresses to
// be here; it may block for a moment, where the interface is slow.
func sendTickles(connections []Connection) error {
	var errs []error
	for _, v4 := range []bool{true, false} {
		if err := sendTicklesOf(v4, connections); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sendTicklesOf(v4 bool, connections []Connection) error {
	fd, failed, first := -1, 0, error(nil)
	defer func() {
		if fd >= 0 {
			unix.Close(fd)
		}
	}()
	buf := make([]byte, 0, tickleBytes)
	for _, c := range connections {
		if !c.valid() || c.Client.Addr().Is4() != v4 {
			continue
		}
		if fd < 0 {
			family := unix.AF_INET6
			if v4 {
				family = unix.AF_INET
			}
			var err error
			// IPPROTO_RAW sends what has its own header, and receives nothing (raw(7)).
			if fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
				return fmt.Errorf("open raw socket: %w", err)
			}
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}); err != nil {
				return fmt.Errorf("limit raw socket: %w", err)
			}
		}
		if err := unix.Sendto(fd, appendTickle(buf, c), 0, sockaddrOf(c.Client.Addr())); err != nil {
			failed++
			first = err
		}
	}
	if failed > 0 {
		return fmt.Errorf("send %d of the tickles: %w", failed, first)
	}
	return nil
}

func sockaddrOf(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}
