package auth

import (
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// saslPrep normalises a password by RFC 4013 as PostgreSQL does: ASCII is left
// alone, and a password that may not be prepared (not UTF-8, prohibited or
// unassigned characters, nothing left) is used as it is. Both ends must agree
// in this, or such users could not log in.
func saslPrep(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	prepared, err := postgresProfile().Prepare(password)
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// postgresProfile is SASLprep with the spaces mapped first: U+200B is both a
// space (C.1.2) and commonly mapped to nothing (B.1), and PostgreSQL makes it a space.
func postgresProfile() stringprep.Profile {
	p := stringprep.SASLprep
	p.Mappings = []stringprep.Mapping{nonASCIISpaces(), stringprep.TableB1}
	return p
}

func nonASCIISpaces() stringprep.Mapping {
	space := []rune{' '}
	m := stringprep.Mapping{0x00A0: space, 0x1680: space, 0x202F: space, 0x205F: space, 0x3000: space}
	for r := rune(0x2000); r <= 0x200B; r++ {
		m[r] = space
	}
	return m
}
