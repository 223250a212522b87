package wire_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/wire"
)

// header2 is a header of version 2 with the fields after its 12 bytes of addresses.
func header2(command, family byte, body string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(body)))) + body
}

// withChecksum puts a checksum, right but for wrong, at the end.
func withChecksum(wrong uint32) string {
	b := []byte(header2(0x21, 0x11, tcp4+"\x03\x00\x04\x00\x00\x00\x00"))
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[len(b)-4:], sum^wrong)
	return string(b)
}

const tcp4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x30\x39\x15\x38"

func TestReadProxyHeader(t *testing.T) {
	tcp6 := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + strings.Repeat("\x00", 15) + "\x01" + "\x30\x39\x15\x38"
	for name, row := range map[string]struct {
		in, want string // want "" is none, "error" a refusal
	}{
		"v1 TCP4":           {"PROXY TCP4 192.0.2.1 10.0.0.1 12345 5432\r\n", "192.0.2.1:12345"},
		"v1 TCP6":           {"PROXY TCP6 2001:db8::1 ::1 12345 5432\r\n", "[2001:db8::1]:12345"},
		"v1 unknown":        {"PROXY UNKNOWN\r\n", ""},
		"v1 unknown, more":  {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		"v1 family":         {"PROXY TCP6 192.0.2.1 10.0.0.1 12345 5432\r\n", "error"},
		"v1 port":           {"PROXY TCP4 192.0.2.1 10.0.0.1 65536 5432\r\n", "error"},
		"v1 few":            {"PROXY TCP4 192.0.2.1\r\n", "error"},
		"v1 long":           {"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", "error"},
		"v1 no end":         {"PROXY " + strings.Repeat(" ", 200), "error"},
		"v2 TCP4":           {header2(0x21, 0x11, tcp4), "192.0.2.1:12345"},
		"v2 TCP6":           {header2(0x21, 0x21, tcp6), "[2001:db8::1]:12345"},
		"v2 local":          {header2(0x20, 0x11, tcp4), ""},
		"v2 local, bare":    {header2(0x20, 0, ""), ""},
		"v2 unix":           {header2(0x21, 0x31, strings.Repeat("x", 216)), ""},
		"v2 fields":         {header2(0x21, 0x11, tcp4+"\x04\x00\x02ab"), "192.0.2.1:12345"},
		"v2 bad fields":     {header2(0x21, 0x11, tcp4+"\x04\x00\x09ab"), "error"},
		"v2 checksum":       {withChecksum(0), "192.0.2.1:12345"},
		"v2 wrong checksum": {withChecksum(1), "error"},
		"v2 short":          {header2(0x21, 0x21, tcp4), "error"},
		"v2 version":        {header2(0x31, 0x11, tcp4), "error"},
		"v2 command":        {header2(0x22, 0x11, tcp4), "error"},
		"v2 huge":           {header2(0x21, 0x11, strings.Repeat("x", 5000)), "error"},
		"startup packet":    {"\x00\x00\x00\x08\x04\xd2\x16\x2f", "error"},
		"another":           {"PROXZ TCP4 192.0.2.1 10.0.0.1 12345 5432\r\n", "error"},
	} {
		for _, bytewise := range []bool{false, true} {
			a, b := pair(t)
			c := wire.NewConn(b)
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			go func() {
				in := []byte(row.in + "rest")
				for len(in) > 0 {
					n := len(in)
					if bytewise {
						n = 1
					}
					if _, err := a.Write(in[:n]); err != nil {
						return
					}
					in = in[n:]
				}
			}()
			from, ok, err := c.ReadProxyHeader()
			got := ""
			switch {
			case errors.Is(err, wire.ErrNoProxyHeader):
				got = "error"
			case err != nil:
				t.Errorf("%s: %v", name, err)
				continue
			case ok:
				got = from.String()
			}
			if got != row.want {
				t.Errorf("%s: got %q (%v), want %q", name, got, err, row.want)
			}
			if got != "error" {
				if err := c.Need(4); err != nil || string(c.Buffered()) != "rest" {
					t.Errorf("%s: after it comes %q, %v", name, c.Buffered(), err)
				}
			}
			a.Close()
			b.Close()
		}
	}
}

func TestAppendProxyHeader(t *testing.T) {
	for _, addresses := range [][2]string{{"192.0.2.1:12345", "10.0.0.1:5432"}, {"[2001:db8::1]:1", "[::1]:65535"}, {"192.0.2.1:1", "[::1]:2"}} {
		from, to := netip.MustParseAddrPort(addresses[0]), netip.MustParseAddrPort(addresses[1])
		for version := 1; version <= 2; version++ {
			a, b := pair(t)
			if _, err := a.Write(wire.AppendProxyHeader(nil, version, from, to)); err != nil {
				t.Fatal(err)
			}
			got, ok, err := wire.NewConn(b).ReadProxyHeader()
			if known := from.Addr().Is4() == to.Addr().Is4(); err != nil || ok != known || known && got != from {
				t.Errorf("version %d of %v: %v, %v, %v", version, addresses, got, ok, err)
			}
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 10.0.0.1 12345 5432\r\n"))
	f.Add([]byte(header2(0x21, 0x11, tcp4+"\x04\x00\x02ab")))
	f.Add([]byte(withChecksum(0)))
	f.Fuzz(func(t *testing.T, in []byte) {
		for n := 1; n <= len(in); {
			need, size, err := wire.ParseProxyHeader(in[:n])
			if err != nil || size > 0 {
				if size > n {
					t.Fatalf("a header of %d bytes in %d", size, n)
				}
				return
			}
			if need <= n {
				t.Fatalf("needs %d bytes, has %d", need, n)
			}
			n = need
		}
	})
}
