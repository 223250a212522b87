package proxy

import "strings"

// DateStyle is the one setting of which a SET may change a part: SET datestyle TO iso leaves the order of
// day, month and year as it was, SET datestyle TO dmy the format (the manual, 8.5.2).

const dateStyle = "datestyle"

// dateParts are what a value of DateStyle says; empty: nothing of it.
type dateParts struct{ style, order string }

// datePartsOf reads a value as the server does; false if it says something else, such as DEFAULT.
func datePartsOf(value string) (dateParts, bool) {
	var p dateParts
	for word := range strings.SplitSeq(value, ",") {
		word = strings.ToLower(strings.Trim(strings.TrimSpace(word), `"`))
		switch {
		case word == "iso", word == "sql":
			p.style = strings.ToUpper(word)
		case strings.HasPrefix(word, "postgres"):
			p.style = "Postgres"
		case word == "german":
			p.style = "German"
			if p.order == "" {
				p.order = "DMY"
			}
		case word == "ymd":
			p.order = "YMD"
		case word == "dmy", strings.HasPrefix(word, "euro"):
			p.order = "DMY"
		case word == "mdy", word == "us", strings.HasPrefix(word, "noneuro"):
			p.order = "MDY"
		default:
			return p, false
		}
	}
	return p, true
}

func (p dateParts) whole() bool { return p.style != "" && p.order != "" }

func (p dateParts) value() string {
	if p.whole() {
		return p.style + ", " + p.order
	}
	return p.style + p.order
}

// withDateStyle is the session's DateStyle after another SET of it; false if that cannot be told.
func withDateStyle(old *setting, next setting) (setting, bool) {
	p, ok := datePartsOf(next.value)
	if !ok {
		return next, old == nil || strings.EqualFold(next.value, "default")
	}
	if old != nil && !p.whole() {
		before, ok := datePartsOf(old.value)
		if !ok {
			return next, false
		}
		if p.style == "" {
			p.style = before.style
		}
		if p.order == "" {
			p.order = before.order
		}
	}
	return setting{dateStyle, "SET datestyle TO '" + p.value() + "'", p.value()}, true
}
