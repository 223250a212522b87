package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// States of a TCP socket as sock_diag(7) numbers them.
const (
	tcpEstablished = 1
	tcpTimeWait    = 6
	tcpListen      = 10
)

// connectionsTo lists this host's TCP sockets that have one of the addresses as their
// own, but for listening and finished ones.
func connectionsTo(addresses []netip.Prefix) ([]*netlink.Socket, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag socket: %w", err)
	}
	defer handle.Close()
	if err := handle.SetSocketTimeout(netlinkTimeout); err != nil {
		return nil, fmt.Errorf("limit sock_diag socket: %w", err)
	}
	var found []*netlink.Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} { // one that listens for both has IPv4 clients as IPv6
		list, err := handle.SocketDiagTCP(family)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		for _, s := range list {
			if s.State == tcpListen || s.State == tcpTimeWait {
				continue
			}
			for _, p := range addresses {
				if addrOf(s.ID.Source) == p.Addr() {
					found = append(found, s)
				}
			}
		}
	}
	return found, nil
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Connections lists the clients that are connected to the addresses on this host, at
// most limit. Its purpose is that other hosts know them when this one is gone
// (SetClients). It needs no privilege.
func Connections(addresses []netip.Prefix, limit int) ([]Connection, error) {
	sockets, err := connectionsTo(addresses)
	if err != nil {
		return nil, err
	}
	var list []Connection
	for _, s := range sockets {
		if s.State != tcpEstablished {
			continue
		}
		if len(list) == limit {
			break
		}
		list = append(list, Connection{
			Client: netip.AddrPortFrom(addrOf(s.ID.Destination), s.ID.DestinationPort),
			Server: netip.AddrPortFrom(addrOf(s.ID.Source), s.ID.SourcePort),
		})
	}
	return list, nil
}

// resetConnections breaks the connections to an address from this side, so that their
// clients get a reset as long as the address is here. It stops at until. It needs
// CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY.
func resetConnections(p netip.Prefix, until Instant) (broken int, err error) {
	sockets, err := connectionsTo([]netip.Prefix{p})
	if err != nil {
		return 0, err
	}
	for _, s := range sockets {
		if Now() >= until {
			return broken, errors.New("break connections: no time left")
		}
		req := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
		req.AddData(&destroyRequest{s})
		_, err := req.Execute(unix.NETLINK_INET_DIAG, 0)
		switch {
		case err == nil:
			broken++
		case !errors.Is(err, unix.ENOENT): // it has ended meanwhile
			return broken, fmt.Errorf("break connections: %w", privilege(err))
		}
	}
	return broken, nil
}

// destroyRequest is struct inet_diag_req_v2 of linux/inet_diag.h.
type destroyRequest struct{ socket *netlink.Socket }

func (r *destroyRequest) Len() int { return 56 }

func (r *destroyRequest) Serialize() []byte {
	id := &r.socket.ID
	b := make([]byte, 8, r.Len())
	b[0], b[1] = r.socket.Family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	b = binary.BigEndian.AppendUint16(b, id.SourcePort)
	b = binary.BigEndian.AppendUint16(b, id.DestinationPort)
	for _, ip := range []net.IP{id.Source, id.Destination} {
		var raw [16]byte
		if r.socket.Family == unix.AF_INET {
			copy(raw[:], ip.To4())
		} else {
			copy(raw[:], ip.To16())
		}
		b = append(b, raw[:]...)
	}
	b = binary.NativeEndian.AppendUint32(b, id.Interface)
	b = binary.NativeEndian.AppendUint32(b, id.Cookie[0])
	return binary.NativeEndian.AppendUint32(b, id.Cookie[1])
}
