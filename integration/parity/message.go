package parity

import (
	"encoding/binary"
	"fmt"
)

// answered says whether the server owes a ReadyForQuery for the step.
func (s *Step) answered() bool {
	switch s.Command {
	case "Query", "FunctionCall":
		return true
	case "Sync":
		return s.text(0) != "ignored"
	}
	return false
}

// encode returns the bytes of the frontend message that the step names.
func (s *Step) encode() ([]byte, error) {
	switch s.Command {
	case "Query":
		return frame('Q', cstring(nil, s.text(0))), nil
	case "Parse":
		return s.encodeParse()
	case "Bind":
		return s.encodeBind()
	case "Describe", "Close":
		return frame(s.Command[0], cstring([]byte(s.text(0)), s.text(1))), nil
	case "Execute":
		limit, err := s.number(1)
		return frame('E', binary.BigEndian.AppendUint32(cstring(nil, s.text(0)), limit)), err
	case "Sync":
		return frame('S', nil), nil
	case "Flush":
		return frame('H', nil), nil
	case "Terminate":
		return frame('X', nil), nil
	case "CopyData":
		return frame('d', []byte(s.text(0))), nil
	case "CopyDone":
		return frame('c', nil), nil
	case "CopyFail":
		return frame('f', cstring(nil, s.text(0))), nil
	case "FunctionCall":
		return s.encodeFunctionCall()
	case "Raw":
		return []byte(s.text(0)), nil
	}
	return nil, fmt.Errorf("unknown command %q", s.Command)
}

func (s *Step) encodeParse() ([]byte, error) {
	types, err := list(s.text(2))
	if err != nil {
		return nil, err
	}
	body := cstring(cstring(nil, s.text(0)), s.text(1))
	body = appendCount(body, len(types))
	for _, oid := range types {
		body = binary.BigEndian.AppendUint32(body, oid)
	}
	return frame('P', body), nil
}

func (s *Step) encodeBind() ([]byte, error) {
	body := cstring(cstring(nil, s.text(0)), s.text(1))
	body, err := s.appendFormats(body, "formats")
	if err != nil {
		return nil, err
	}
	body = appendValues(body, s.Args[min(2, len(s.Args)):])
	body, err = s.appendFormats(body, "results")
	return frame('B', body), err
}

func (s *Step) encodeFunctionCall() ([]byte, error) {
	oid, err := s.number(0)
	if err != nil {
		return nil, err
	}
	body := binary.BigEndian.AppendUint32(nil, oid)
	body, err = s.appendFormats(body, "formats")
	if err != nil {
		return nil, err
	}
	body = appendValues(body, s.Args[1:])
	result, err := list(s.Options["result"])
	if err != nil {
		return nil, err
	}
	format := 0
	if len(result) == 1 {
		format = int(result[0])
	}
	return frame('F', appendCount(body, format)), nil
}

func (s *Step) appendFormats(body []byte, option string) ([]byte, error) {
	formats, err := list(s.Options[option])
	if err != nil {
		return nil, err
	}
	body = appendCount(body, len(formats))
	for _, format := range formats {
		body = appendCount(body, int(format))
	}
	return body, nil
}

func appendValues(body []byte, values []Arg) []byte {
	body = appendCount(body, len(values))
	for _, value := range values {
		if value.Null {
			body = binary.BigEndian.AppendUint32(body, ^uint32(0))
			continue
		}
		body = binary.BigEndian.AppendUint32(body, uint32(len(value.Text)))
		body = append(body, value.Text...)
	}
	return body
}

func appendCount(body []byte, count int) []byte {
	return binary.BigEndian.AppendUint16(body, uint16(count))
}

func cstring(body []byte, text string) []byte {
	return append(append(body, text...), 0)
}

// frame puts type and length before body.
func frame(kind byte, body []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return append(head, body...)
}

// startup is a StartupMessage for protocol major.minor with parameters in the
// given order.
func startup(major, minor uint16, parameters [][2]string) []byte {
	body := binary.BigEndian.AppendUint16(nil, major)
	body = binary.BigEndian.AppendUint16(body, minor)
	for _, p := range parameters {
		body = cstring(cstring(body, p[0]), p[1])
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)
}
