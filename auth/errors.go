package auth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/howdah/howdah/wire"
)

// SQLSTATEs this package gives to clients (PostgreSQL manual, appendix A).
const (
	CodeProtocolViolation    = "08P01"
	CodeFeatureNotSupported  = "0A000"
	CodeInvalidAuthorization = "28000"
	CodeInvalidPassword      = "28P01"
	CodeInternalError        = "XX000"
)

// Error is a refusal that reaches the client as a FATAL ErrorResponse. Err,
// the internal cause, is for the log only: it may tell whether a user exists.
// None of the fields holds a secret.
type Error = wire.Error

// Causes behind a 28P01 or 08P01, for logs and tests. A client cannot tell the
// ones behind 28P01 apart.
var (
	ErrUnknownUser    = errors.New("user has no entry in the passwd file and none came from the auth query")
	ErrNoSecret       = errors.New("user has no password")
	ErrSecretUnfit    = errors.New("the stored secret cannot serve this method")
	ErrWrongPassword  = errors.New("password does not match")
	ErrNoCredential   = errors.New("no usable credential")
	ErrOtherSalt      = errors.New("the server's salt or iteration count is not that of the learned keys")
	ErrServerUnproven = errors.New("the server's signature is wrong")
)

// PasswordFailed is the refusal PostgreSQL gives for every wrong login of user,
// whatever the cause.
func PasswordFailed(user string, cause error) *Error {
	return &Error{
		Code:    CodeInvalidPassword,
		Message: fmt.Sprintf("password authentication failed for user %q", user),
		Err:     cause,
	}
}

// malformed is a message that no correct peer sends.
func malformed(message, detail string) *Error {
	return &Error{Code: CodeProtocolViolation, Message: message, Detail: detail}
}

func malformedSCRAM(detail string) *Error { return malformed("malformed SCRAM message", detail) }

// randomFailed reports that the random source is broken: nobody can log in.
func randomFailed(err error) *Error {
	return &Error{Code: CodeInternalError, Message: "could not generate random bytes", Err: fmt.Errorf("read random source: %w", err)}
}

// Fault is one mistake in a file the operator wrote.
type Fault struct {
	File string
	Line int // 1-based
	What string
	Hint string // what to do
}

func (f Fault) String() string {
	text := fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What)
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	return text
}

// Faults are all mistakes of a file (the first maxFaults of them), in its order.
type Faults []Fault

// maxFaults bounds the report on a file that is not what it was taken for.
const maxFaults = 100

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// add appends a fault unless there are enough already.
func (f *Faults) add(file string, line int, what, hint string) {
	if len(*f) < maxFaults {
		*f = append(*f, Fault{File: file, Line: line, What: what, Hint: hint})
	}
}

// err returns nil for no faults, never a non-nil interface around an empty list.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
