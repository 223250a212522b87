package parser

import "strings"

// WithoutLiterals is a text for people to see that shows nothing of what it is about: without comments,
// and with 'x', 1 and the like in place of literals. cut says that sql is the beginning of a longer
// text. ok is false if the literals cannot be told from the rest.
func WithoutLiterals(sql string, cut bool) (text string, ok bool) {
	end := ""
	for {
		out, info := skeletonOf(sql)
		switch {
		case info.ok && info.escaped:
			return "", false // it holds an E'…' as it was
		case info.ok:
			return string(out) + end, true
		case !cut:
			return "", false
		}
		// The cut may have gone through a literal, a comment or a quoted name: end before it.
		i := strings.LastIndexAny(sql, `'"$/`)
		if i < 0 {
			return "", false
		}
		sql, end = sql[:i], "…"
	}
}
