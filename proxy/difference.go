package proxy

import "strings"

// difference returns SQL that brings a connection with the settings have to the
// settings want; it is empty if they are the same.
func difference(have, want []setting) string {
	var b strings.Builder
	if !repeatsAlone(have) || !repeatsAlone(want) {
		if len(have) > 0 {
			b.WriteString("SET SESSION AUTHORIZATION DEFAULT;RESET ROLE;RESET ALL;")
		}
		for i := range want {
			b.WriteString(want[i].sql)
			b.WriteByte(';')
		}
		return b.String()
	}
	for i := range have {
		if find(want, have[i].name) == nil {
			b.WriteString("RESET ")
			b.WriteString(have[i].name)
			b.WriteByte(';')
		}
	}
	for i := range want {
		if old := find(have, want[i].name); old == nil || *old != want[i] {
			if old != nil && old.name == dateStyle {
				b.WriteString("RESET datestyle;") // want may name a part of it
			}
			b.WriteString(want[i].sql)
			b.WriteByte(';')
		}
	}
	return b.String()
}

func find(settings []setting, name string) *setting {
	for i := range settings {
		if settings[i].name == name {
			return &settings[i]
		}
	}
	return nil
}

// repeatsAlone is whether each setting may be made and reset by itself, in any order.
// Roles decide what may be set after them, and what has no plain name has no RESET.
func repeatsAlone(settings []setting) bool {
	for i := range settings {
		switch name := settings[i].name; name {
		case "role", "session_authorization":
			return false
		default:
			if !isPlainName(name) {
				return false
			}
		}
	}
	return true
}

// isPlainName is whether SQL may name the setting without quotes.
func isPlainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c == '_' || i > 0 && (c == '.' || c >= '0' && c <= '9') {
			continue
		}
		return false
	}
	return name != ""
}
