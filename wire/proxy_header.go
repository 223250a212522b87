package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol (haproxy.org, doc/proxy-protocol.txt) says in front of a connection
// where it came from before it was forwarded.
const (
	proxySignature1 = "PROXY "
	proxySignature2 = "\r\n\r\n\x00\r\nQUIT\n"
	// maxProxyHeader1 is the longest line of version 1, by its specification.
	maxProxyHeader1 = 107
	// maxProxyHeader2 bounds a header of version 2; real ones have a few hundred bytes.
	maxProxyHeader2 = 4096
	// proxyChecksum is the type of the field with a CRC-32C of the header.
	proxyChecksum = 0x03
)

// ErrNoProxyHeader is a connection that does not begin with a valid header.
var ErrNoProxyHeader = errors.New("no valid header of the PROXY protocol")

// ReadProxyHeader reads the header with which the connection must begin, of version 1
// or 2. ok is false if it says that the connection is the sender's own, or names no
// TCP address.
func (c *Conn) ReadProxyHeader() (from netip.AddrPort, ok bool, err error) {
	for need := 1; ; {
		if err := c.Need(need); err != nil {
			return from, false, err
		}
		h, err := parseProxyHeader(c.Buffered())
		if err != nil {
			return from, false, err
		}
		if h.size > 0 {
			c.Discard(h.size)
			return h.from, h.from.IsValid(), nil
		}
		need = h.need
	}
}

// proxyHeader is what is known of a header from its first bytes.
type proxyHeader struct {
	need int // how many bytes are needed to know more
	size int // of all of it; 0 while it is not whole
	from netip.AddrPort
}

func parseProxyHeader(b []byte) (proxyHeader, error) {
	switch n := len(b); {
	case string(b[:min(n, len(proxySignature2))]) == proxySignature2[:min(n, len(proxySignature2))]:
		if n < 16 {
			return proxyHeader{need: 16}, nil
		}
		return parseProxy2(b)
	case string(b[:min(n, len(proxySignature1))]) == proxySignature1[:min(n, len(proxySignature1))]:
		return parseProxy1(b)
	}
	return proxyHeader{}, fmt.Errorf("%w: it begins with something else", ErrNoProxyHeader)
}

func parseProxy1(b []byte) (proxyHeader, error) {
	end := bytes.Index(b[:min(len(b), maxProxyHeader1)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= maxProxyHeader1 {
			return proxyHeader{}, fmt.Errorf("%w: the line is longer than %d bytes", ErrNoProxyHeader, maxProxyHeader1)
		}
		return proxyHeader{need: len(b) + 1}, nil
	}
	h := proxyHeader{size: end + 2}
	f := strings.Split(string(b[:end]), " ")
	if f[1] == "UNKNOWN" {
		return h, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return h, fmt.Errorf("%w: malformed line", ErrNoProxyHeader)
	}
	from, err1 := proxyAddress(f[1], f[2], f[4])
	_, err2 := proxyAddress(f[1], f[3], f[5])
	if err := errors.Join(err1, err2); err != nil {
		return h, err
	}
	h.from = from
	return h, nil
}

func proxyAddress(family, host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	n, err2 := strconv.ParseUint(port, 10, 16)
	if err != nil || err2 != nil || addr.Is4() != (family == "TCP4") || addr.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%w: malformed address", ErrNoProxyHeader)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

func parseProxy2(b []byte) (proxyHeader, error) {
	command, family := b[12], b[13]
	size := 16 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command>>4 != 2 || command&0xf > 1:
		return proxyHeader{}, fmt.Errorf("%w: version or command is not known", ErrNoProxyHeader)
	case size > maxProxyHeader2:
		return proxyHeader{}, fmt.Errorf("%w: longer than %d bytes", ErrNoProxyHeader, maxProxyHeader2)
	case len(b) < size:
		return proxyHeader{need: size}, nil
	}
	h := proxyHeader{size: size}
	addresses := map[byte]int{0x11: 12, 0x21: 36, 0x12: 12, 0x22: 36, 0x31: 216, 0x32: 216}[family]
	body := b[16:size]
	if len(body) < addresses {
		return h, fmt.Errorf("%w: too short for its addresses", ErrNoProxyHeader)
	}
	if err := checkProxyFields(b[:size], 16+addresses); err != nil {
		return h, err
	}
	if command&0xf == 0 { // LOCAL: the sender's own
		return h, nil
	}
	switch family {
	case 0x11:
		h.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
	case 0x21:
		h.from = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:]))
	}
	return h, nil
}

// checkProxyFields verifies the checksum among the fields from at on, if there is one.
func checkProxyFields(header []byte, at int) error {
	for at < len(header) {
		if len(header)-at < 3 {
			return fmt.Errorf("%w: malformed field", ErrNoProxyHeader)
		}
		typ, size := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += 3
		if size > len(header)-at {
			return fmt.Errorf("%w: malformed field", ErrNoProxyHeader)
		}
		if typ == proxyChecksum {
			if size != 4 {
				return fmt.Errorf("%w: malformed checksum", ErrNoProxyHeader)
			}
			plain := bytes.Clone(header)
			clear(plain[at : at+4])
			if crc32.Checksum(plain, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(header[at:]) {
				return fmt.Errorf("%w: wrong checksum", ErrNoProxyHeader)
			}
		}
		at += size
	}
	return nil
}

// AppendProxyHeader appends a header of version 1 or 2 that says that the connection comes
// from one TCP address and went to another of the same family. With other addresses it
// says that nothing is known of them.
func AppendProxyHeader(dst []byte, version int, from, to netip.AddrPort) []byte {
	a, b := from.Addr().Unmap(), to.Addr().Unmap()
	known := a.IsValid() && b.IsValid() && a.Is4() == b.Is4()
	if version == 1 {
		if !known {
			return append(dst, "PROXY UNKNOWN\r\n"...)
		}
		family := "TCP6"
		if a.Is4() {
			family = "TCP4"
		}
		return fmt.Appendf(dst, "PROXY %s %s %s %d %d\r\n", family, a.WithZone(""), b.WithZone(""), from.Port(), to.Port())
	}
	dst = append(dst, proxySignature2...)
	if !known {
		return append(dst, 0x21, 0, 0, 0)
	}
	family, size := byte(0x21), 36
	if a.Is4() {
		family, size = 0x11, 12
	}
	dst = append(dst, 0x21, family, 0, byte(size))
	dst = append(append(dst, a.AsSlice()...), b.AsSlice()...)
	dst = binary.BigEndian.AppendUint16(dst, from.Port())
	return binary.BigEndian.AppendUint16(dst, to.Port())
}
