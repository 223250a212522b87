package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	mechanismSCRAM = "SCRAM-SHA-256"
	// mechanismPlus binds the login to the TLS connection under it (RFC 5802 section 6).
	mechanismPlus = mechanismSCRAM + "-PLUS"
	// bindingHeader begins a message that does (RFC 5929 section 4: the server's certificate).
	bindingHeader = "p=tls-server-end-point,,"
	// scramIterations is PostgreSQL's default scram_iterations. Secrets stored in
	// clear and mock secrets use it, so that they look like most servers' own.
	scramIterations = 4096
	// maxSCRAMIterations bounds the CPU that one server or one stored verifier can
	// cost: a second or a few. PostgreSQL allows two thousand times more.
	maxSCRAMIterations = 1_000_000
	scramSaltSize      = 16
	// scramNonceSize is the number of random bytes in a nonce, as in PostgreSQL.
	scramNonceSize = 18
	keySize        = sha256.Size
)

// scramKeys are the keys of RFC 5802 section 3. clientKey is all zero in a
// verifier, which knows only its hash.
type scramKeys struct {
	clientKey [keySize]byte
	storedKey [keySize]byte
	serverKey [keySize]byte
}

// verifier is what a server stores for a user: SCRAM-SHA-256$<i>:<salt>$<stored>:<server>.
type verifier struct {
	salt       []byte
	iterations int
	storedKey  [keySize]byte
	serverKey  [keySize]byte
}

// deriveKeys does the expensive part (iterations rounds of HMAC) once.
func deriveKeys(password string, salt []byte, iterations int) (scramKeys, error) {
	salted, err := pbkdf2.Key(sha256.New, saslPrep(password), salt, iterations, keySize)
	if err != nil {
		return scramKeys{}, fmt.Errorf("derive SCRAM key: %w", err)
	}
	var k scramKeys
	k.clientKey = hmac256(salted, "Client Key")
	k.storedKey = sha256.Sum256(k.clientKey[:])
	k.serverKey = hmac256(salted, "Server Key")
	return k, nil
}

func hmac256(key []byte, text string) (sum [keySize]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}

func xorKeys(a, b [keySize]byte) [keySize]byte {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// parseVerifier reads the form of pg_authid.rolpassword. Its errors never quote it.
func parseVerifier(stored string) (verifier, error) {
	rest, ok := strings.CutPrefix(stored, mechanismSCRAM+"$")
	if !ok {
		return verifier{}, errors.New("not a SCRAM-SHA-256 verifier")
	}
	params, keys, ok1 := strings.Cut(rest, "$")
	count, salt64, ok2 := strings.Cut(params, ":")
	stored64, server64, ok3 := strings.Cut(keys, ":")
	if !ok1 || !ok2 || !ok3 {
		return verifier{}, errors.New("malformed SCRAM-SHA-256 verifier: want SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")
	}
	n, err := parseIterations(count)
	if err != nil {
		return verifier{}, fmt.Errorf("malformed SCRAM-SHA-256 verifier: %w", err)
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(salt64)
	if err != nil || len(salt) == 0 {
		return verifier{}, errors.New("malformed SCRAM-SHA-256 verifier: the salt is not base64")
	}
	v := verifier{salt: salt, iterations: n}
	if !decodeKey(&v.storedKey, stored64) || !decodeKey(&v.serverKey, server64) {
		return verifier{}, errors.New("malformed SCRAM-SHA-256 verifier: a key is not 32 bytes in base64")
	}
	return v, nil
}

// parseIterations accepts 1 to maxSCRAMIterations in plain decimal.
func parseIterations(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n < 1 || n > maxSCRAMIterations {
		return 0, fmt.Errorf("the iteration count is not between 1 and %d", maxSCRAMIterations)
	}
	return int(n), nil
}

// decodeKey fills dst from base64 that must hold exactly its length.
func decodeKey(dst *[keySize]byte, s string) bool {
	if len(s) != base64.StdEncoding.EncodedLen(keySize) {
		return false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != keySize {
		return false
	}
	copy(dst[:], raw)
	return true
}

// attributes walks the comma separated "x=value" list of a SCRAM message.
type attributes struct{ rest string }

// want takes the next attribute, which must be name.
func (a *attributes) want(name byte) (string, *Error) {
	if len(a.rest) < 2 || a.rest[0] != name || a.rest[1] != '=' {
		return "", malformedSCRAM(fmt.Sprintf("Attribute %q expected.", string(rune(name))))
	}
	_, value, err := a.any()
	return value, err
}

// any takes the next attribute, whatever it is.
func (a *attributes) any() (name byte, value string, _ *Error) {
	if len(a.rest) < 2 || !isLetter(a.rest[0]) || a.rest[1] != '=' {
		return 0, "", malformedSCRAM("Attribute expected.")
	}
	name = a.rest[0]
	value, a.rest, _ = strings.Cut(a.rest[2:], ",")
	return name, value, nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// printable tells whether s is a nonce by RFC 5802: printable ASCII without comma.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

func sha256Of(k [keySize]byte) [keySize]byte { return sha256.Sum256(k[:]) }
