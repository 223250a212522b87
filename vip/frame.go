package vip

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Sizes and numbers of Ethernet (IEEE 802.3), ARP (RFC 826), IPv6 (RFC 8200) and
// neighbour discovery (RFC 4861).
const (
	ethernetLen = 14
	etherARP    = 0x0806
	etherIPv6   = 0x86dd

	arpLen     = 28
	arpRequest = 1
	arpReply   = 2

	ipv6Len               = 40
	protoICMPv6           = 58
	icmpSolicitation      = 135
	icmpAdvertisement     = 136
	optionTargetLinkLayer = 2
	advertisementLen      = 32 // type to target, and one option with a hardware address
	solicitationLen       = 24 // no option: the sender is unspecified
	flagOverride          = 0x20
	neighbourHopLimit     = 255
)

var (
	broadcastMAC = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	zeroMAC      = net.HardwareAddr{0, 0, 0, 0, 0, 0}
	allNodesMAC  = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	allNodes     = netip.MustParseAddr("ff02::1")
)

// announceFrames are the frames that tell a link's neighbours that addr is at mac. For
// IPv4 gratuitous ARP both as a request and as a reply, as neighbours differ in
// which they believe (RFC 5227, section 3); for IPv6 an unsolicited neighbour
// advertisement (RFC 4861, section 7.2.6).
func announceFrames(addr netip.Addr, mac net.HardwareAddr) [][]byte {
	if addr.Is4() {
		return [][]byte{
			arpFrame(arpRequest, mac, addr, broadcastMAC, addr),
			arpFrame(arpReply, mac, addr, mac, addr),
		}
	}
	return [][]byte{advertisementFrame(addr, mac)}
}

// probeFrame asks who has addr without claiming it: an ARP probe (RFC 5227, section
// 2.1.1), or the solicitation of duplicate address detection (RFC 4862, section 5.4.2).
func probeFrame(addr netip.Addr, mac net.HardwareAddr) []byte {
	if addr.Is4() {
		return arpFrame(arpRequest, mac, netip.IPv4Unspecified(), zeroMAC, addr)
	}
	return solicitationFrame(addr, mac)
}

func arpFrame(operation uint16, senderMAC net.HardwareAddr, senderIP netip.Addr, targetMAC net.HardwareAddr, targetIP netip.Addr) []byte {
	b := make([]byte, 0, ethernetLen+arpLen)
	b = append(b, broadcastMAC...)
	b = append(b, senderMAC...)
	b = binary.BigEndian.AppendUint16(b, etherARP)
	b = append(b, 0, 1, 0x08, 0, 6, 4) // Ethernet, IPv4, and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, operation)
	b = append(b, senderMAC...)
	b = append(b, senderIP.AsSlice()...)
	b = append(b, targetMAC...)
	return append(b, targetIP.AsSlice()...)
}

func advertisementFrame(addr netip.Addr, mac net.HardwareAddr) []byte {
	b := ipv6Frame(allNodesMAC, mac, addr, allNodes, advertisementLen)
	b = append(b, icmpAdvertisement, 0, 0, 0, flagOverride, 0, 0, 0)
	b = append(b, addr.AsSlice()...)
	b = append(b, optionTargetLinkLayer, 1)
	b = append(b, mac...)
	return withICMPChecksum(b)
}

func solicitationFrame(addr netip.Addr, mac net.HardwareAddr) []byte {
	// The solicited-node multicast address (RFC 4291, section 2.7.1) and its hardware
	// address (RFC 2464, section 7).
	a := addr.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
	b := ipv6Frame(net.HardwareAddr{0x33, 0x33, 0xff, a[13], a[14], a[15]}, mac, netip.IPv6Unspecified(), group, solicitationLen)
	b = append(b, icmpSolicitation, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, a[:]...)
	return withICMPChecksum(b)
}

// ipv6Frame is the Ethernet and IPv6 headers of an ICMPv6 message of length bytes.
func ipv6Frame(to, from net.HardwareAddr, source, destination netip.Addr, length int) []byte {
	b := make([]byte, 0, ethernetLen+ipv6Len+length)
	b = append(b, to...)
	b = append(b, from...)
	b = binary.BigEndian.AppendUint16(b, etherIPv6)
	return appendIPv6Header(b, source, destination, protoICMPv6, neighbourHopLimit, length)
}

func appendIPv6Header(b []byte, source, destination netip.Addr, proto, hopLimit byte, length int) []byte {
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, proto, hopLimit)
	b = append(b, source.AsSlice()...)
	return append(b, destination.AsSlice()...)
}

func withICMPChecksum(frame []byte) []byte {
	packet := frame[ethernetLen:]
	source, _ := netip.AddrFromSlice(packet[8:24])
	destination, _ := netip.AddrFromSlice(packet[24:40])
	message := packet[ipv6Len:]
	binary.BigEndian.PutUint16(message[2:], checksum(source, destination, protoICMPv6, message))
	return frame
}

// checksum is the Internet checksum of a message with its pseudo-header (RFC 793,
// section 3.1; RFC 8200, section 8.1); 0 for a message that holds its right checksum.
func checksum(source, destination netip.Addr, proto byte, message []byte) uint16 {
	sum := uint32(proto) + uint32(len(message))
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(b[0])<<8 | uint32(b[1])
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(source.AsSlice())
	add(destination.AsSlice())
	add(message)
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// claim is what a frame says: this address is at this hardware address.
type claim struct {
	addr netip.Addr
	mac  net.HardwareAddr
}

// parseClaim reads an Ethernet frame. ok is false for all that claims nothing: other
// protocols, probes, solicitations, and what is damaged or was forwarded.
func parseClaim(frame []byte) (claim, bool) {
	if len(frame) < ethernetLen {
		return claim{}, false
	}
	switch body := frame[ethernetLen:]; binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return parseARP(body)
	case etherIPv6:
		return parseAdvertisement(body, frame[6:12])
	}
	return claim{}, false
}

// parseARP takes requests and replies alike: whoever sends either says where the
// sender's address is.
func parseARP(b []byte) (claim, bool) {
	if len(b) < arpLen || [6]byte(b[:6]) != [6]byte{0, 1, 0x08, 0, 6, 4} {
		return claim{}, false
	}
	if o := binary.BigEndian.Uint16(b[6:]); o != arpRequest && o != arpReply {
		return claim{}, false
	}
	sender := netip.AddrFrom4([4]byte(b[14:18]))
	if sender.IsUnspecified() {
		return claim{}, false
	}
	return claim{sender, append(net.HardwareAddr(nil), b[8:14]...)}, true
}

func parseAdvertisement(b []byte, from net.HardwareAddr) (claim, bool) {
	if len(b) < ipv6Len+solicitationLen || b[0]>>4 != 6 || b[6] != protoICMPv6 || b[7] != neighbourHopLimit {
		return claim{}, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < solicitationLen || len(b) < ipv6Len+length {
		return claim{}, false
	}
	message := b[ipv6Len : ipv6Len+length]
	source, _ := netip.AddrFromSlice(b[8:24])
	destination, _ := netip.AddrFromSlice(b[24:40])
	if message[0] != icmpAdvertisement || message[1] != 0 || checksum(source, destination, protoICMPv6, message) != 0 {
		return claim{}, false
	}
	target, _ := netip.AddrFromSlice(message[8:24])
	if mac, ok := linkLayerOption(message[24:]); ok {
		from = mac
	}
	return claim{target, append(net.HardwareAddr(nil), from...)}, true
}

// linkLayerOption finds the target's hardware address among the options (RFC 4861,
// section 4.6.1).
func linkLayerOption(options []byte) (net.HardwareAddr, bool) {
	for len(options) >= 8 {
		length := int(options[1]) * 8
		if length == 0 || length > len(options) {
			return nil, false
		}
		if options[0] == optionTargetLinkLayer && length == 8 {
			return net.HardwareAddr(options[2:8]), true
		}
		options = options[length:]
	}
	return nil, false
}
