package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answer is all that a server said to one text.
type answer struct {
	results []result
	// code and message are of the error that ended it; empty if none did.
	code, message string
	// status is that of ReadyForQuery.
	status byte
	// open is the result that has not ended yet.
	open result
}

// result is the answer to one statement of the text.
type result struct {
	fields []string
	// tables are the relations that the columns are of, 0 if of none.
	tables []uint32
	rows   []string
	tag    string
}

// refused is whether the error says that a standby cannot do it.
func (a *answer) refused() bool {
	switch a.code {
	case "25006":
		return true
	case "0A000", "55000", "XX000", "42501", "58P01":
		return strings.Contains(a.message, "recovery") || strings.Contains(a.message, "standby")
	}
	return false
}

// timedOut is whether a time limit or a lock of the session under test ended it.
func (a *answer) timedOut() bool {
	switch a.code {
	case "57014", "55P03", "40001", "40P01", "57P01", "57P03":
		return true
	}
	return false
}

// sameShape is whether two answers have the same columns and the same kind of
// end, whatever their rows.
func sameShape(a, b *answer) bool {
	return slices.EqualFunc(a.results, b.results, func(x, y result) bool { return slices.Equal(x.fields, y.fields) }) && a.code == b.code
}

// same is whether two answers are equal; ordered says of which results the order counts.
func same(a, b *answer, ordered []bool) bool {
	if !sameShape(a, b) || a.message != b.message {
		return false
	}
	for i := range a.results {
		x, y := a.results[i], b.results[i]
		if x.tag != y.tag || len(x.rows) != len(y.rows) {
			return false
		}
		xs, ys := x.rows, y.rows
		if i >= len(ordered) || !ordered[i] {
			xs, ys = slices.Sorted(slices.Values(xs)), slices.Sorted(slices.Values(ys))
		}
		if !slices.Equal(xs, ys) {
			return false
		}
	}
	return true
}

// String is the beginning of the answer, for reports.
func (a *answer) String() string {
	const most = 300
	var b strings.Builder
	for _, r := range a.results {
		for _, row := range r.rows {
			if b.Len() < most {
				fmt.Fprintf(&b, "(%s)", row)
			}
		}
		fmt.Fprintf(&b, "%s ", r.tag)
	}
	if a.code != "" {
		fmt.Fprintf(&b, "%s %s", a.code, a.message)
	}
	return fmt.Sprintf("%.*s", most, b.String())
}

// differences shows the first row that only one of two answers has, or else
// how each begins.
func differences(a, b *answer) (string, string) {
	for i := range min(len(a.results), len(b.results)) {
		x, y := onlyIn(a.results[i].rows, b.results[i].rows), onlyIn(b.results[i].rows, a.results[i].rows)
		if x != "" || y != "" {
			return fmt.Sprintf("%d rows, %s", len(a.results[i].rows), x), fmt.Sprintf("%d rows, %s", len(b.results[i].rows), y)
		}
	}
	return a.String(), b.String()
}

// onlyIn is the first row that a has more often than b.
func onlyIn(a, b []string) string {
	count := map[string]int{}
	for _, row := range b {
		count[row]++
	}
	for _, row := range a {
		if count[row]--; count[row] < 0 {
			return row
		}
	}
	return ""
}

// take adds what a message says.
func (a *answer) take(message pgproto3.BackendMessage) {
	r := &a.open
	switch m := message.(type) {
	case *pgproto3.RowDescription:
		for _, d := range m.Fields {
			r.fields = append(r.fields, fmt.Sprintf("%s %d %d", d.Name, d.DataTypeOID, d.TypeModifier))
			r.tables = append(r.tables, d.TableOID)
		}
	case *pgproto3.DataRow:
		r.rows = append(r.rows, rowText(m.Values))
	case *pgproto3.CopyData:
		r.rows = append(r.rows, string(m.Data))
	case *pgproto3.CommandComplete:
		r.tag = string(m.CommandTag)
		a.results, a.open = append(a.results, *r), result{}
	case *pgproto3.EmptyQueryResponse:
		a.results = append(a.results, result{tag: "empty"})
	case *pgproto3.ErrorResponse:
		a.code, a.message = m.Code, m.Message
		if len(r.rows) > 0 || len(r.fields) > 0 {
			a.results = append(a.results, *r)
		}
		a.open = result{}
	case *pgproto3.ReadyForQuery:
		a.status = m.TxStatus
	}
}

// receive reads one answer up to ReadyForQuery.
func receive(f *pgproto3.Frontend) (*answer, error) {
	a := &answer{}
	for {
		message, err := f.Receive()
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		a.take(message)
		switch message.(type) {
		case *pgproto3.CopyInResponse:
			f.Send(&pgproto3.CopyFail{Message: "trial"})
			if err := f.Flush(); err != nil {
				return nil, fmt.Errorf("refuse COPY: %w", err)
			}
		case *pgproto3.ReadyForQuery:
			return a, nil
		}
	}
}

// messageOf reads a server's message that answers are made of; nil is another.
func messageOf(frame []byte) (pgproto3.BackendMessage, error) {
	var m pgproto3.BackendMessage
	switch frame[0] {
	case 'T':
		m = &pgproto3.RowDescription{}
	case 'D':
		m = &pgproto3.DataRow{}
	case 'd':
		m = &pgproto3.CopyData{}
	case 'C':
		m = &pgproto3.CommandComplete{}
	case 'I':
		m = &pgproto3.EmptyQueryResponse{}
	case 'E':
		m = &pgproto3.ErrorResponse{}
	case 'Z':
		m = &pgproto3.ReadyForQuery{}
	default:
		return nil, nil
	}
	if err := m.Decode(frame[5:]); err != nil {
		return nil, fmt.Errorf("read message %q: %w", frame[0], err)
	}
	return m, nil
}

// sameMeaning is whether two sessions answered the text from the same relations, and
// with the same rows if they count.
func sameMeaning(a, b *answer, ordered []bool, rows bool) bool {
	if a.code != b.code {
		return false
	}
	if !slices.EqualFunc(a.results, b.results, func(x, y result) bool { return slices.Equal(x.tables, y.tables) }) {
		return false
	}
	return !rows || same(a, b, ordered)
}

func rowText(values [][]byte) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = "NULL"
		if v != nil {
			parts[i] = string(v)
		}
	}
	return strings.Join(parts, "|")
}
