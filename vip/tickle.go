package vip

import (
	"encoding/binary"
	"net/netip"
)

// Connection is a client's TCP connection to the floating address.
type Connection struct {
	Client netip.AddrPort `json:"c"`
	Server netip.AddrPort `json:"s"`
}

const (
	ipv4Len     = 20
	tcpLen      = 20
	protoTCP    = 6
	tcpFlagACK  = 0x10
	dataOffset  = tcpLen / 4 << 4
	hopLimit    = 64
	tickleBytes = ipv6Len + tcpLen
)

// appendTickle appends an IP packet that makes a client notice that nobody knows its
// connection any more: a bare ACK with sequence number 0, from the server's side. The
// client answers what it believes to be a stray segment with its real sequence number
// (RFC 9293, section 3.10.7.4), and the host that has the address now, having no such
// connection, answers that with a reset. Samba's CTDB does the same. IPv4's header
// checksum and identification are the kernel's to fill in.
func appendTickle(b []byte, c Connection) []byte {
	source, destination := c.Server.Addr(), c.Client.Addr()
	if source.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, ipv4Len+tcpLen)
		b = append(b, 0, 0, 0, 0, hopLimit, protoTCP, 0, 0)
		b = append(b, source.AsSlice()...)
		b = append(b, destination.AsSlice()...)
	} else {
		b = appendIPv6Header(b, source, destination, protoTCP, hopLimit, tcpLen)
	}
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, c.Server.Port())
	b = binary.BigEndian.AppendUint16(b, c.Client.Port())
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, dataOffset, tcpFlagACK, 0x04, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[start+16:], checksum(source, destination, protoTCP, b[start:]))
	return b
}

// valid says whether a connection can be tickled: one address family, real ports.
func (c Connection) valid() bool {
	return c.Client.IsValid() && c.Server.IsValid() && c.Client.Addr().Is4() == c.Server.Addr().Is4() &&
		!c.Client.Addr().Is4In6() && c.Client.Port() != 0 && c.Server.Port() != 0
}
