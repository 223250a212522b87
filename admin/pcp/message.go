package pcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLength is Pgpool-II's limit of a message's length to the server (MAX_PCP_PACKET_LENGTH).
const maxLength = 260

// errMalformed is a message that is none.
var errMalformed = errors.New("invalid PCP packet")

// readMessage reads a client's message. It reads nothing beyond it.
func readMessage(r io.Reader) (typ byte, payload []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n < 4 || n >= maxLength {
		return 0, nil, fmt.Errorf("%w: length %d", errMalformed, int32(n))
	}
	payload = make([]byte, n-4)
	_, err = io.ReadFull(r, payload)
	return header[0], payload, err
}

// appendMessage appends a message of texts, each ended by a zero byte. A zero byte within a text would end it.
func appendMessage(b []byte, typ byte, texts ...string) []byte {
	start := len(b)
	b = append(b, typ, 0, 0, 0, 0)
	for _, t := range texts {
		b = append(append(b, strings.ReplaceAll(t, "\x00", "")...), 0)
	}
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return b
}

const complete = "CommandComplete"

// appendError appends an error report. Field codes are those of PostgreSQL's ErrorResponse.
func appendError(b []byte, severity, message, detail string) []byte {
	fields := []string{"S" + severity, "CXX000", "M" + readable(message)}
	if detail != "" {
		fields = append(fields, "D"+readable(detail))
	}
	return appendMessage(b, 'E', append(fields, "Fpcp", "L0", "")...)
}

// maxText is where Pgpool-II cuts texts of errors, in bytes.
const maxText = 255

// readable makes a text that the clients read right. They take the first letter of a message that begins
// with M, S or D for the code of a field.
func readable(text string) string {
	if text != "" && strings.ContainsRune("MSD", rune(text[0])) {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return text[:min(len(text), maxText)]
}

// texts cuts a payload into its texts; false if there are not n, each ended by a zero byte, or something follows.
func texts(payload []byte, n int) ([]string, bool) {
	all := strings.Split(string(payload), "\x00")
	if len(all) != n+1 || all[n] != "" {
		return nil, false
	}
	return all[:n], true
}
