package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Table is an answer: columns, and rows of string, int64, uint64, float64, bool or time.Time.
type Table struct {
	Columns []string
	Rows    [][]any
}

func (t *Table) add(values ...any) { t.Rows = append(t.Rows, values) }

// Text writes a value as operators read it. A zero time is empty.
func Text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return timeText(v)
	}
	return fmt.Sprint(value)
}

// timeText is how Pgpool-II writes times: local, to the second; never is empty.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// Texts are all rows as texts.
func (t *Table) Texts() [][]string {
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make([]string, len(row))
		for j, v := range row {
			rows[i][j] = Text(v)
		}
	}
	return rows
}

// String is the table for a terminal: numbers to the right, texts to the left.
func (t *Table) String() string {
	rows := t.Texts()
	width := make([]int, len(t.Columns))
	right := make([]bool, len(t.Columns))
	for j, c := range t.Columns {
		width[j] = len([]rune(c))
		right[j] = len(rows) > 0
		for i := range rows {
			width[j] = max(width[j], len([]rune(rows[i][j])))
			switch t.Rows[i][j].(type) {
			case int64, uint64, float64:
			default:
				right[j] = false
			}
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		var l strings.Builder
		for j, c := range cells {
			pad := strings.Repeat(" ", width[j]-len([]rune(c)))
			if j > 0 {
				l.WriteString("  ")
			}
			if right[j] {
				l.WriteString(pad + c)
			} else {
				l.WriteString(c + pad)
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(t.Columns)
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

// Objects are the rows for JSON, each with its columns' names.
func (t *Table) Objects() []map[string]any {
	objects := make([]map[string]any, len(t.Rows))
	for i, row := range t.Rows {
		objects[i] = make(map[string]any, len(row))
		for j, v := range row {
			if when, ok := v.(time.Time); ok && when.IsZero() {
				v = nil
			}
			objects[i][t.Columns[j]] = v
		}
	}
	return objects
}
