package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Message types sent by a client (PostgreSQL manual, "Message Formats").
const (
	Bind         = 'B'
	Close        = 'C'
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p' // also SASL and GSS responses
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Message types sent by both sides.
const (
	CopyData = 'd'
	CopyDone = 'c'
)

// Message types sent by a server.
const (
	Authentication       = 'R'
	BackendKeyData       = 'K'
	BindComplete         = '2'
	CloseComplete        = '3'
	CommandComplete      = 'C'
	CopyBothResponse     = 'W'
	CopyInResponse       = 'G'
	CopyOutResponse      = 'H'
	DataRow              = 'D'
	EmptyQueryResponse   = 'I'
	ErrorResponse        = 'E'
	FunctionCallResponse = 'V'
	NegotiateProtocol    = 'v'
	NoData               = 'n'
	NoticeResponse       = 'N'
	NotificationResponse = 'A'
	ParameterDescription = 't'
	ParameterStatus      = 'S'
	ParseComplete        = '1'
	PortalSuspended      = 's'
	ReadyForQuery        = 'Z'
	RowDescription       = 'T'
)

// Transaction states in ReadyForQuery.
const (
	TxIdle   = 'I'
	TxOpen   = 'T'
	TxFailed = 'E'
)

// HeaderSize is a message's type and length.
const HeaderSize = 5

// MaxMessage is the longest message PostgreSQL itself accepts or sends
// (its MaxAllocSize, 1 GB - 1), header excluded.
const MaxMessage = 1<<30 - 1

// ErrBadLength is a message whose length field no correct peer sends.
var ErrBadLength = errors.New("invalid message length")

// ErrTooLong is a message longer than the caller allowed.
var ErrTooLong = errors.New("message too long")

// Header returns the type and whole size (header included) of the message
// that b, at least HeaderSize bytes, begins with.
func Header(b []byte) (typ byte, size int, err error) {
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > MaxMessage {
		return b[0], 0, fmt.Errorf("%w %d of message %q", ErrBadLength, n, b[0])
	}
	return b[0], int(n) + 1, nil
}

// Run returns the size of the whole messages of one type that b begins with; 0 if there are none.
func Run(b []byte, typ byte) int {
	n := 0
	for len(b)-n >= HeaderSize && b[n] == typ {
		size := 1 + int(binary.BigEndian.Uint32(b[n+1:]))
		if size < HeaderSize || size > len(b)-n {
			break
		}
		n += size
	}
	return n
}

// CString splits b after its first zero byte. ok is false if there is none.
func CString(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, b, false
	}
	return b[:i], b[i+1:], true
}

// AppendHeader appends the header of a message whose body is n bytes long.
func AppendHeader(dst []byte, typ byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, typ), uint32(n+4))
}

// AppendMessage appends a message with the parts as its body.
func AppendMessage(dst []byte, typ byte, parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = AppendHeader(dst, typ, n)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// AppendQuery appends a simple Query.
func AppendQuery(dst []byte, sql string) []byte {
	return AppendMessage(dst, Query, sql, "\x00")
}

// AppendReady appends a ReadyForQuery with the transaction state.
func AppendReady(dst []byte, status byte) []byte {
	return append(AppendHeader(dst, ReadyForQuery, 1), status)
}

// ErrorField returns field f of an ErrorResponse's or NoticeResponse's body,
// nil if it is absent ('C' is the SQLSTATE, 'S' the severity, 'V' the same untranslated, 'M' the message).
func ErrorField(body []byte, f byte) []byte {
	for len(body) > 0 && body[0] != 0 {
		v, rest, ok := CString(body[1:])
		if !ok {
			return nil
		}
		if body[0] == f {
			return v
		}
		body = rest
	}
	return nil
}
