package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// Credentials is what howdah can prove to servers in a user's name. The zero
// value proves nothing: it serves only servers that ask for nothing. It is
// immutable, cheap to copy, safe for concurrent use, and prints as its kind.
type Credentials struct{ data sealed[credentials] }

// credentials holds either secret (plain or md5) or scram.
type credentials struct {
	secret *secretData
	scram  *learnedKeys
}

// learnedKeys were recovered from a client's SCRAM proof. They are as good as the
// password at every server that stores the same salt and iteration count, which
// a primary and its physical standbys do.
type learnedKeys struct {
	salt       []byte
	iterations int
	clientKey  [keySize]byte
	serverKey  [keySize]byte
}

// PasswordCredentials is a clear-text password, such as the one of howdah's own
// check user. "" is the zero Credentials.
func PasswordCredentials(user, password string) Credentials {
	return PlainSecret(user, password).Credentials()
}

// Password returns the clear-text password if it is known. The caller must not log it.
func (c Credentials) Password() (string, bool) {
	if d := c.data.open(); d != nil && d.secret != nil && d.secret.kind == KindPlain {
		return d.secret.plain, true
	}
	return "", false
}

// md5Hash returns the 32 hex digits of md5(password || user) if they are known.
func (c Credentials) md5Hash() (string, bool) {
	if d := c.data.open(); d != nil && d.secret != nil {
		return d.secret.md5Hash(), true
	}
	return "", false
}

// String names the kind: password, md5, scram-keys or none.
func (c Credentials) String() string {
	switch d := c.data.open(); {
	case d == nil:
		return "credentials(none)"
	case d.scram != nil:
		return "credentials(scram-keys)"
	case d.secret.kind == KindMD5:
		return "credentials(md5)"
	}
	return "credentials(password)"
}

func (c Credentials) GoString() string             { return c.String() }
func (c Credentials) Format(w fmt.State, _ rune)   { io.WriteString(w, c.String()) }
func (c Credentials) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c Credentials) MarshalJSON() ([]byte, error) { return []byte(`"` + c.String() + `"`), nil }
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
