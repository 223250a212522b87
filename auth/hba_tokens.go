package auth

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	maxHBASize  = 1 << 20 // bytes
	maxHBARules = 10_000  // every connection is matched against all in the worst case
)

// LoadHBAFile reads a pg_hba.conf or pool_hba.conf; its errors are those of ParseHBA.
func LoadHBAFile(path string) (*HBA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open hba file: %w", err)
	}
	defer f.Close()
	return ParseHBA(path, f)
}

// ParseHBA reads records in pg_hba.conf syntax; fileName is for messages, and what is
// included is looked for beside it. The error is Faults with every mistake, or that of r.
func ParseHBA(fileName string, r io.Reader) (*HBA, error) {
	p := &hbaParser{}
	if err := p.read(fileName, r, p.record); err != nil {
		return nil, err
	}
	return p.finish()
}

// ParseHBALines reads one record per element, as the configuration's list holds
// them. Faults count elements from 1, in the file called auth.hba.
func ParseHBALines(lines []string) (*HBA, error) {
	p := &hbaParser{}
	if err := p.readLines("auth.hba", lines, p.record); err != nil {
		return nil, err
	}
	return p.finish()
}

// readBounded reads all of r, at most limit bytes.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return data, err
}

// token is one element of a field. Words that were quoted lose their meaning.
type token struct {
	text   string
	quoted bool
}

// is tells whether the token is the keyword.
func (t token) is(keyword string) bool { return !t.quoted && t.text == keyword }

// splitFields cuts a record into fields of comma-separated tokens, as
// PostgreSQL's next_token and next_field_expand do: a comma after a token goes
// on with the same field even across blanks, and a quote may begin anywhere in a token.
func splitFields(line string) (fields [][]token, fault string) {
	for pos := 0; ; {
		var field []token
		for comma := true; comma; {
			var t token
			var ok bool
			t, ok, comma, pos, fault = nextToken(line, pos)
			if fault != "" {
				return nil, fault
			}
			if !ok {
				break
			}
			field = append(field, t)
		}
		if len(field) == 0 {
			return fields, ""
		}
		fields = append(fields, field)
	}
}

// nextToken reads the token at pos. comma says that one followed directly.
func nextToken(line string, pos int) (t token, ok, comma bool, next int, fault string) {
	for pos < len(line) && (isBlank(line[pos]) || line[pos] == ',') {
		pos++
	}
	var b strings.Builder
	inQuote, wasQuote, sawQuote := false, false, false
	for ; pos < len(line); pos++ {
		c := line[pos]
		if !inQuote {
			switch {
			case isBlank(c):
				return token{b.String(), t.quoted}, b.Len() > 0 || sawQuote, false, pos, ""
			case c == '#':
				return token{b.String(), t.quoted}, b.Len() > 0 || sawQuote, false, len(line), ""
			case c == ',':
				return token{b.String(), t.quoted}, b.Len() > 0 || sawQuote, true, pos + 1, ""
			}
		}
		if c != '"' || wasQuote { // two quotes inside quotes are one
			b.WriteByte(c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote, sawQuote = !inQuote, true
			t.quoted = t.quoted || b.Len() == 0
		}
	}
	if inQuote {
		return token{}, false, false, pos, "unterminated quote"
	}
	return token{b.String(), t.quoted}, b.Len() > 0 || sawQuote, false, pos, ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }
