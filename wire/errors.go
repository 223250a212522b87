package wire

import "errors"

// Error is an error for a client, from its birth on: it becomes an
// ErrorResponse whose fields these are (PostgreSQL manual, "Error and Notice
// Message Fields"). Err, the internal cause, is for the log only.
type Error struct {
	Code    string // SQLSTATE
	Message string
	Detail  string
	Hint    string // what the user or operator can do
	Routine string // PostgreSQL's function, where drivers tell an error by it
	Err     error
}

// Error is the text for the log: the message, the detail and the cause.
func (e *Error) Error() string {
	text := e.Message
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the internal cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns the client's error in err's chain. An error that has none
// becomes an internal error that tells the client nothing of its cause.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "XX000", Message: "internal error in howdah", Hint: "The operator finds the cause in howdah's log.", Err: err}
}

// AppendError appends e as an ErrorResponse of the severity (ERROR, FATAL) .
func AppendError(dst []byte, severity string, e *Error) []byte {
	return appendReport(dst, ErrorResponse, severity, e)
}

// AppendNotice appends e as a NoticeResponse of the severity (NOTICE, WARNING).
func AppendNotice(dst []byte, severity string, e *Error) []byte {
	return appendReport(dst, NoticeResponse, severity, e)
}

func appendReport(dst []byte, typ byte, severity string, e *Error) []byte {
	fields := []string{"S", severity, "\x00V", severity, "\x00C", e.Code, "\x00M", e.Message}
	if e.Detail != "" {
		fields = append(fields, "\x00D", e.Detail)
	}
	if e.Hint != "" {
		fields = append(fields, "\x00H", e.Hint)
	}
	if e.Routine != "" {
		fields = append(fields, "\x00R", e.Routine)
	}
	return AppendMessage(dst, typ, append(fields, "\x00\x00")...)
}
