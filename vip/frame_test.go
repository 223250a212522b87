package vip

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
)

var testMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}

// bytesOf reads hexadecimal text with spaces and lines.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The frames byte for byte, laid out by hand from the RFCs.
func TestFrames(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("fd00::1:2345")
	arp := announceFrames(v4, testMAC)
	tests := []struct {
		name      string
		got       []byte
		want      string
		claimedBy string // what a neighbour reads from it
	}{
		{"gratuitous request", arp[0], `ffffffffffff 020000000001 0806 0001 0800 06 04 0001
			020000000001 0a000064 ffffffffffff 0a000064`, "10.0.0.100 02:00:00:00:00:01"},
		{"gratuitous reply", arp[1], `ffffffffffff 020000000001 0806 0001 0800 06 04 0002
			020000000001 0a000064 020000000001 0a000064`, "10.0.0.100 02:00:00:00:00:01"},
		{"ARP probe", probeFrame(v4, testMAC), `ffffffffffff 020000000001 0806 0001 0800 06 04 0001
			020000000001 00000000 000000000000 0a000064`, ""},
		{"unsolicited advertisement", announceFrames(v6, testMAC)[0], `333300000001 020000000001 86dd
			60000000 0020 3a ff fd000000000000000000000000012345 ff020000000000000000000000000001
			88 00 1fe6 20000000 fd000000000000000000000000012345 02 01 020000000001`, "fd00::1:2345 02:00:00:00:00:01"},
		{"solicitation of the detection of duplicates", probeFrame(v6, testMAC), `3333ff012345 020000000001 86dd
			60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff012345
			87 00 dddd 00000000 fd000000000000000000000000012345`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := bytesOf(t, tt.want)
			if len(want) > 54+4 && want[12] == 0x86 { // the checksum is held against another computation
				sum := onesComplement(tt.got[22:54], tt.got[54:], protoICMPv6)
				if sum != 0xffff {
					t.Errorf("the checksum is wrong: sum %04x", sum)
				}
				copy(want[56:58], tt.got[56:58])
			}
			if !bytes.Equal(tt.got, want) {
				t.Errorf("got\n%x, want\n%x", tt.got, want)
			}
			c, ok := parseClaim(tt.got)
			text := ""
			if ok {
				text = c.addr.String() + " " + c.mac.String()
			}
			if text != tt.claimedBy {
				t.Errorf("read as a claim of %q, want %q", text, tt.claimedBy)
			}
		})
	}
}

// onesComplement is the sum that RFC 1071 wants to be ffff for a right checksum.
func onesComplement(addresses, message []byte, proto byte) uint32 {
	b := append(append([]byte(nil), addresses...), message...)
	b = append(b, 0, 0, byte(len(message)>>8), byte(len(message)), 0, 0, 0, proto)
	if len(message)%2 == 1 {
		panic("odd")
	}
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 + uint32(b[i+1])
	}
	return sum&0xffff + sum>>16
}

// Damaged, forwarded and foreign frames claim nothing.
func TestNoClaims(t *testing.T) {
	arp := announceFrames(netip.MustParseAddr("10.0.0.100"), testMAC)[0]
	na := announceFrames(netip.MustParseAddr("fd00::100"), testMAC)[0]
	with := func(b []byte, at int, v ...byte) []byte {
		b = append([]byte(nil), b...)
		copy(b[at:], v)
		return b
	}
	for name, frame := range map[string][]byte{
		"nothing":                 {},
		"half a header":           arp[:10],
		"half an ARP":             arp[:30],
		"ARP of token ring":       with(arp, 14, 0, 6),
		"reverse ARP":             with(arp, 20, 0, 3),
		"IPv4":                    with(arp, 12, 0x08, 0x00),
		"a forwarded packet":      with(na, 21, 64),
		"a wrong checksum":        with(na, 56, 0, 0),
		"a UDP packet":            with(na, 20, 17),
		"a length past the end":   with(na, 18, 0, 200),
		"a length that is short":  with(na, 18, 0, 8),
		"half an advertisement":   na[:70],
		"a router solicitation":   with(na, 54, 133),
		"the version of another":  with(na, 14, 0x40),
		"half an IPv6 header":     na[:40],
		"an advertisement, coded": with(na, 55, 1),
	} {
		if c, ok := parseClaim(frame); ok {
			t.Errorf("%s: read as a claim of %s by %s", name, c.addr, c.mac)
		}
	}
}

// Whatever arrives, reading does not fail; what is a claim is one again when it is sent on.
func FuzzParseClaim(f *testing.F) {
	for _, a := range []string{"10.0.0.100", "fd00::100"} {
		for _, frame := range announceFrames(netip.MustParseAddr(a), testMAC) {
			f.Add(frame)
		}
		f.Add(probeFrame(netip.MustParseAddr(a), testMAC))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		c, ok := parseClaim(frame)
		if !ok {
			return
		}
		if !c.addr.IsValid() || len(c.mac) != 6 || c.addr == netip.IPv4Unspecified() {
			t.Fatalf("claim %+v", c)
		}
		again, ok := parseClaim(announceFrames(c.addr, c.mac)[0])
		if !ok || again.addr != c.addr || again.mac.String() != c.mac.String() {
			t.Errorf("got %+v, %v, want %+v", again, ok, c)
		}
	})
}

func TestTickle(t *testing.T) {
	tests := []struct {
		name string
		c    Connection
		want string
	}{
		{"IPv4", Connection{netip.MustParseAddrPort("10.0.0.7:40000"), netip.MustParseAddrPort("10.0.0.100:5432")},
			`4500 0028 0000 0000 40 06 0000 0a000064 0a000007
			1538 9c40 00000000 00000000 50 10 0400 7a26 0000`},
		{"IPv6", Connection{netip.MustParseAddrPort("[fd00::7]:40000"), netip.MustParseAddrPort("[fd00::100]:5432")},
			`60000000 0014 06 40 fd000000000000000000000000000100 fd000000000000000000000000000007
			1538 9c40 00000000 00000000 50 10 0400 0000 0000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := appendTickle(nil, tt.c), bytesOf(t, tt.want)
			header, addresses := ipv4Len, got[12:20]
			if tt.c.Client.Addr().Is6() {
				header, addresses = ipv6Len, got[8:40]
			}
			if sum := onesComplement(addresses, got[header:], protoTCP); sum != 0xffff {
				t.Errorf("the checksum is wrong: sum %04x", sum)
			}
			copy(want[header+16:header+18], got[header+16:])
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%x, want\n%x", got, want)
			}
			if !tt.c.valid() {
				t.Error("it counts as invalid")
			}
		})
	}
	a, b := netip.MustParseAddrPort("10.0.0.7:1"), netip.MustParseAddrPort("[fd00::1]:1")
	for _, c := range []Connection{{}, {a, b}, {b, a}, {netip.MustParseAddrPort("10.0.0.7:0"), a}, {netip.MustParseAddrPort("[::ffff:10.0.0.7]:5"), b}} {
		if c.valid() {
			t.Errorf("%v counts as valid", c)
		}
	}
}

func FuzzTickle(f *testing.F) {
	f.Add([]byte{10, 0, 0, 7}, uint16(4), []byte{10, 0, 0, 1}, uint16(5))
	f.Fuzz(func(t *testing.T, client []byte, clientPort uint16, server []byte, serverPort uint16) {
		ca, _ := netip.AddrFromSlice(client)
		sa, _ := netip.AddrFromSlice(server)
		c := Connection{netip.AddrPortFrom(ca, clientPort), netip.AddrPortFrom(sa, serverPort)}
		if !c.valid() {
			return
		}
		if b := appendTickle(nil, c); len(b) != len(sa.AsSlice())*2+tcpLen+map[bool]int{true: 12, false: 8}[sa.Is4()] || len(b) > tickleBytes {
			t.Errorf("%v: %d bytes", c, len(b))
		}
	})
}
