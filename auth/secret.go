package auth

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Kind is what form of a password is stored.
type Kind uint8

// The kinds of a Secret.
const (
	KindNone  Kind = iota // no password: only trust lets the user in
	KindPlain             // clear text: serves every method, here and at servers
	KindMD5               // md5(password || user): serves password and md5
	KindSCRAM             // SCRAM-SHA-256 verifier: serves password, scram-sha-256, and md5's fallback
)

func (k Kind) String() string {
	switch k {
	case KindPlain:
		return "plain"
	case KindMD5:
		return "md5"
	case KindSCRAM:
		return "scram-sha-256"
	}
	return "none"
}

// maxSecret bounds a stored secret, in bytes. PostgreSQL's own is 64 times less
// than a message may hold; longer is surely a broken file.
const maxSecret = 4096

// Secret is the stored secret of one user. The zero Secret is no password.
// It is immutable, cheap to copy, and safe for concurrent use; copies share the
// keys derived from a clear-text password. It prints as its kind.
type Secret struct{ data sealed[secretData] }

type secretData struct {
	user     string
	kind     Kind
	plain    string   // KindPlain
	md5      string   // KindMD5: 32 lower-case hex digits
	verifier verifier // KindSCRAM
	derived  keyCache // KindPlain
}

// ParseSecret reads a secret as pg_authid.rolpassword holds it, or in clear
// text, as an auth query may return it; "" (NULL) is no password. A broken SCRAM
// verifier is an error; the error names the user and never quotes the secret.
func ParseSecret(user, stored string) (Secret, error) {
	switch {
	case stored == "":
		return Secret{}, nil
	case len(stored) > maxSecret:
		return Secret{}, fmt.Errorf("secret of user %q: longer than %d bytes", user, maxSecret)
	case strings.IndexByte(stored, 0) >= 0:
		return Secret{}, fmt.Errorf("secret of user %q: contains a zero byte", user)
	case isMD5Secret(stored):
		return Secret{seal(&secretData{user: user, kind: KindMD5, md5: stored[3:]})}, nil
	case strings.HasPrefix(stored, mechanismSCRAM+"$"):
		v, err := parseVerifier(stored)
		if err != nil {
			return Secret{}, fmt.Errorf("secret of user %q: %w", user, err)
		}
		return Secret{seal(&secretData{user: user, kind: KindSCRAM, verifier: v})}, nil
	}
	return PlainSecret(user, stored), nil
}

// PlainSecret is a clear-text password, whatever it looks like; "" is no password.
func PlainSecret(user, password string) Secret {
	if password == "" {
		return Secret{}
	}
	return Secret{seal(&secretData{user: user, kind: KindPlain, plain: password})}
}

// Kind says which form is stored.
func (s Secret) Kind() Kind {
	if d := s.data.open(); d != nil {
		return d.kind
	}
	return KindNone
}

// Credentials returns what the stored secret is worth towards servers without
// any help from the client: nothing for a SCRAM verifier.
func (s Secret) Credentials() Credentials {
	if k := s.Kind(); k == KindPlain || k == KindMD5 {
		return Credentials{seal(&credentials{secret: s.data.open()})}
	}
	return Credentials{}
}

// md5Hash returns the 32 hex digits PostgreSQL stores for an md5 password.
func (d *secretData) md5Hash() string {
	if d.kind == KindPlain {
		return md5Hex(d.plain, d.user)
	}
	return d.md5
}

// verifierFor returns what a SCRAM exchange is checked against. Clear text is
// derived with the salt given, once.
func (d *secretData) verifierFor(salt []byte) (verifier, error) {
	if d.kind == KindSCRAM {
		return d.verifier, nil
	}
	k, err := d.derived.get(d.plain, salt, scramIterations)
	if err != nil {
		return verifier{}, err
	}
	return verifier{salt: salt, iterations: scramIterations, storedKey: k.storedKey, serverKey: k.serverKey}, nil
}

// isMD5Secret is PostgreSQL's own test (get_password_type).
func isMD5Secret(s string) bool {
	if len(s) != 35 || !strings.HasPrefix(s, "md5") {
		return false
	}
	return strings.Trim(s[3:], "0123456789abcdef") == ""
}

func md5Hex(parts ...string) string {
	h := md5.New()
	for _, p := range parts {
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// md5Response is what a client answers to an MD5 challenge (PostgreSQL manual 55.2.1).
func md5Response(hash string, salt [4]byte) string { return "md5" + md5Hex(hash, string(salt[:])) }

// String never shows the secret; neither do the other ways to print it below.
func (s Secret) String() string               { return "secret(" + s.Kind().String() + ")" }
func (s Secret) GoString() string             { return s.String() }
func (s Secret) Format(w fmt.State, _ rune)   { io.WriteString(w, s.String()) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
