package parser

import "strings"

// ParseSearchPath reads a value of search_path as PostgreSQL does: identifiers
// separated by commas, folded unless in double quotes. "$user" becomes user. The
// answer is false if the value cannot be read, or has "$user" while user is
// empty: then any schema may be in it.
func ParseSearchPath(value, user string) (path []string, known bool) {
	rest := strings.TrimSpace(value)
	if rest == "" {
		return nil, true
	}
	for {
		var name string
		var ok bool
		if name, rest, ok = cutIdentifier(rest); !ok {
			return nil, false
		}
		if name == "$user" {
			if user == "" {
				return nil, false
			}
			name = user
		}
		path = append(path, name)
		rest = strings.TrimSpace(rest)
		if rest == "" {
			return path, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		rest = strings.TrimSpace(rest[1:])
	}
}

// cutIdentifier reads the identifier at the start of text.
func cutIdentifier(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ", \t\n\r\f")
		if end < 0 {
			end = len(text)
		}
		return strings.ToLower(text[:end]), text[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), text[i+1:], true
	}
	return "", "", false
}
