package migrate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/howdah/howdah/auth"
)

// taken is an entry of what is in the new file.
func taken(to string) Entry { return Entry{Fate: Taken, To: to} }

func changed(to, note string) Entry { return Entry{Fate: Changed, To: to, Note: note} }

func refused(format string, args ...any) Entry {
	return Entry{Fate: Refused, Note: fmt.Sprintf(format, args...)}
}

func unneeded(note string) Entry { return Entry{Fate: Unneeded, Note: note} }

func (s setting) comment() string { return s.name + ", " + s.place() }

// number takes over a whole number.
func number(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		if n, ok := atoi(s.value); !ok || n < 0 {
			return refused("%q is no whole number", s.value)
		}
		im.out.set(key, bare(s.value), s.comment())
		return taken(key)
	}
}

// toggle takes over a switch.
func toggle(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		on, ok := switchOf(s.value)
		if !ok {
			return refused("%q is neither on nor off", s.value)
		}
		im.out.set(key, bare(map[bool]string{true: "on", false: "off"}[on]), s.comment())
		return taken(key)
	}
}

// texts takes over a text that is not empty.
func texts(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		if s.value == "" {
			return Entry{Fate: Default}
		}
		im.out.set(key, text(s.value), s.comment())
		return taken(key)
	}
}

// seconds takes over a duration, of the given unit if the text has none.
func seconds(key, unit string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		d, ok := duration(s.value, unit)
		if !ok {
			return refused("%q is no duration", s.value)
		}
		im.out.set(key, bare(d), s.comment())
		return taken(key)
	}
}

// duration writes a duration of Pgpool-II as howdah reads it. Units: us ms s min h d.
func duration(value, unit string) (string, bool) {
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz ")
	if suffix := strings.TrimSpace(value[len(digits):]); suffix != "" {
		unit = suffix
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n < 0 || n > math.MaxInt32 || !strings.Contains(" us ms s min h d ", " "+unit+" ") {
		return "", false
	}
	if n == 0 {
		return "0", true
	}
	return digits + unit, true
}

// split cuts a list at a separator that no backslash precedes, and drops blanks around and empty items.
func split(value, separator string) []string {
	var items []string
	var item strings.Builder
	flush := func() {
		if s := strings.TrimSpace(item.String()); s != "" {
			items = append(items, s)
		}
		item.Reset()
	}
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && value[i+1:i+2] == separator:
			i++
			item.WriteByte(value[i])
		case value[i:i+1] == separator:
			flush()
		default:
			item.WriteByte(value[i])
		}
	}
	flush()
	return items
}

// secret reads a password that may be TEXT… or AES….
func (im *importer) secret(value string) (string, error) {
	return auth.PgpoolPassword(value, im.key)
}
