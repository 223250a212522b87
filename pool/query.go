package pool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/howdah/howdah/wire"
)

// maxAnswer bounds each message of a QueryRow's answer.
const maxAnswer = 1 << 20

// QueryRow runs sql with text parameters for howdah's own purposes and
// returns the first row as text, nil if there is none; a NULL column is nil. ctx bounds it. After an
// error the connection must be discarded.
func (s *Server) QueryRow(ctx context.Context, sql string, params ...string) ([][]byte, error) {
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	row, err := s.queryRow(sql, params)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return row, err
}

func (s *Server) queryRow(sql string, params []string) (row [][]byte, err error) {
	if err := s.Write(appendQuery(nil, sql, params)); err != nil {
		return nil, fmt.Errorf("send query: %w", err)
	}
	return s.readRow()
}

// appendQuery appends what runs sql: a simple Query if there are no
// parameters, which leaves no unnamed statement behind.
func appendQuery(b []byte, sql string, params []string) []byte {
	if len(params) == 0 {
		return wire.AppendQuery(b, sql)
	}
	b = wire.AppendMessage(b, wire.Parse, "\x00", sql, "\x00\x00\x00")
	body := binary.BigEndian.AppendUint16([]byte{0, 0, 0, 0}, uint16(len(params)))
	for _, p := range params {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(p))), p...)
	}
	b = wire.AppendMessage(b, wire.Bind, string(append(body, 0, 0)))
	b = wire.AppendMessage(b, wire.Execute, "\x00\x00\x00\x00\x00")
	return wire.AppendMessage(b, wire.Sync)
}

// readRow reads an answer up to ReadyForQuery and returns its first row.
func (s *Server) readRow() (row [][]byte, err error) {
	var failure error
	for {
		typ, msg, err := s.Next(maxAnswer)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		switch typ {
		case wire.DataRow:
			if row == nil {
				if row, err = columns(msg[wire.HeaderSize:]); err != nil {
					return nil, err
				}
			}
		case wire.ErrorResponse:
			failure = refused("server", msg)
		case wire.ParameterStatus:
			s.NoteParameter(msg[wire.HeaderSize:])
		case wire.ReadyForQuery:
			s.Discard(0)
			return row, failure
		}
	}
}

var errBadRow = errors.New("malformed row")

// columns copies the columns of a DataRow's body.
func columns(body []byte) ([][]byte, error) {
	if len(body) < 2 {
		return nil, errBadRow
	}
	row := make([][]byte, binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range row {
		if len(body) < 4 {
			return nil, errBadRow
		}
		n := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if n < 0 {
			continue
		}
		if int(n) > len(body) {
			return nil, errBadRow
		}
		row[i] = append([]byte{}, body[:n]...)
		body = body[n:]
	}
	return row, nil
}
