package parity

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// largest is the longest payload kept whole; of a longer one the beginning and a
// hash are kept.
const largest = 64 << 10

// firstUserOID is the first object id that PostgreSQL gives to users' objects.
const firstUserOID = 16384

// Frame is a backend message. Payload is without type and length.
type Frame struct {
	Kind    byte
	Length  int
	Payload []byte
}

func newFrame(kind byte, length int, in *bufio.Reader) (Frame, error) {
	f := Frame{Kind: kind, Length: length, Payload: make([]byte, min(length, largest))}
	if _, err := io.ReadFull(in, f.Payload); err != nil {
		return f, err
	}
	if length > largest {
		hash := sha256.New()
		if _, err := io.CopyN(hash, in, int64(length-largest)); err != nil {
			return f, err
		}
		f.Payload = hash.Sum(f.Payload)
	}
	return f, nil
}

// normaliser replaces what differs between two runs of one script by nature.
type normaliser struct {
	database string // this run's name for it
	oids     map[uint32]uint32
	own      []string // SQLSTATEs whose source is not compared
}

// describe renders the frames as comparable lines.
func (n *normaliser) describe(frames []Frame) []string {
	lines := make([]string, len(frames))
	for i, f := range frames {
		payload := n.normalise(f)
		if f.Kind == 'E' || f.Kind == 'N' {
			lines[i] = frameName(f.Kind) + " " + n.fields(payload)
			continue
		}
		if f.Kind == 'K' {
			lines[i] = frameName(f.Kind) // longer for who speaks protocol 3.2, which an old server does not
			continue
		}
		lines[i] = fmt.Sprintf("%s(%d) %s", frameName(f.Kind), f.Length, render(payload))
	}
	return lines
}

func (n *normaliser) normalise(f Frame) []byte {
	p := bytes.ReplaceAll(f.Payload, []byte(n.database), []byte(strings.Repeat("D", len(n.database))))
	switch f.Kind {
	case 'A', 'v': // howdah speaks protocol 3.2 whatever the server does
		clear(p[:min(4, len(p))])
	case 'E':
		p = bytes.ReplaceAll(p, []byte("server supports 3.0 to 3.0"), []byte("server supports 3.0 to 3.2"))
	case 't':
		for at := 2; at+4 <= len(p); at += 4 {
			n.number(p[at:])
		}
	case 'T':
		n.rowDescription(p)
	}
	return p
}

// rowDescription numbers the table and type ids of each column.
func (n *normaliser) rowDescription(p []byte) {
	const afterName = 18 // table, column, type, length, modifier, format
	for at := 2; at < len(p); {
		end := bytes.IndexByte(p[at:], 0)
		if end < 0 || at+end+1+afterName > len(p) {
			return
		}
		at += end + 1
		n.number(p[at:])
		n.number(p[at+6:])
		at += afterName
	}
}

// number replaces a user object's id by the order of its first appearance.
func (n *normaliser) number(p []byte) {
	oid := binary.BigEndian.Uint32(p)
	if oid < firstUserOID {
		return
	}
	if _, ok := n.oids[oid]; !ok {
		n.oids[oid] = firstUserOID + uint32(len(n.oids))
	}
	binary.BigEndian.PutUint32(p, n.oids[oid])
}

// fields renders an error or notice.
func (n *normaliser) fields(payload []byte) string {
	var fields []string
	own := false
	for _, field := range bytes.Split(payload, []byte{0}) {
		if len(field) == 0 {
			continue
		}
		own = own || field[0] == 'C' && slices.Contains(n.own, string(field[1:]))
		if own && strings.IndexByte("FLR", field[0]) >= 0 {
			continue
		}
		fields = append(fields, fmt.Sprintf("%c=%q", field[0], field[1:]))
	}
	return strings.Join(fields, " ")
}

func render(payload []byte) string {
	const shown = 300
	if len(payload) > shown {
		return fmt.Sprintf("%q… %x", payload[:shown], sha256.Sum256(payload))
	}
	return fmt.Sprintf("%q", payload)
}

func frameName(kind byte) string {
	switch kind {
	case 'R':
		return "Authentication"
	case 'K':
		return "BackendKeyData"
	case 'S':
		return "ParameterStatus"
	case 'Z':
		return "ReadyForQuery"
	case 'T':
		return "RowDescription"
	case 't':
		return "ParameterDescription"
	case 'D':
		return "DataRow"
	case 'C':
		return "CommandComplete"
	case 'E':
		return "ErrorResponse"
	case 'N':
		return "NoticeResponse"
	case 'A':
		return "NotificationResponse"
	case 'I':
		return "EmptyQueryResponse"
	case '1':
		return "ParseComplete"
	case '2':
		return "BindComplete"
	case '3':
		return "CloseComplete"
	case 'n':
		return "NoData"
	case 's':
		return "PortalSuspended"
	case 'G':
		return "CopyInResponse"
	case 'H':
		return "CopyOutResponse"
	case 'W':
		return "CopyBothResponse"
	case 'd':
		return "CopyData"
	case 'c':
		return "CopyDone"
	case 'V':
		return "FunctionCallResponse"
	case 'v':
		return "NegotiateProtocolVersion"
	}
	return fmt.Sprintf("%q", kind)
}

// Compare returns the first difference of two transcripts with what came before
// and after it, or "".
func Compare(direct, through []string) string {
	const around = 4
	for i := range max(len(direct), len(through)) {
		want, got := "(end)", "(end)"
		if i < len(direct) {
			want = direct[i]
		}
		if i < len(through) {
			got = through[i]
		}
		if want == got {
			continue
		}
		var b strings.Builder
		for _, line := range direct[max(0, i-around):i] {
			fmt.Fprintf(&b, "    both     %s\n", line)
		}
		fmt.Fprintf(&b, "  - direct   %s\n", want)
		for _, line := range direct[min(len(direct), i+1):min(len(direct), i+around)] {
			fmt.Fprintf(&b, "    direct   %s\n", line)
		}
		fmt.Fprintf(&b, "  + through  %s\n", got)
		for _, line := range through[min(len(through), i+1):min(len(through), i+around)] {
			fmt.Fprintf(&b, "    through  %s\n", line)
		}
		return b.String()
	}
	return ""
}
