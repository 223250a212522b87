package admin

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// Users are those of a pcp.conf: user names with the MD5 hashes of their passwords. A name may
// stand there several times; then each of its passwords is good. Immutable.
type Users struct{ hashes map[string][]string }

const (
	maxUsersBytes = 1 << 20
	// maxUserField is Pgpool-II's limit of a name and of a hash, in bytes.
	maxUserField = 128
)

// LoadUsers reads the file at path. Lines that begin with # and empty ones mean nothing.
func LoadUsers(path string) (*Users, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxUsersBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if len(text) > maxUsersBytes {
		return nil, fmt.Errorf("read users: %s is longer than 1 MB", path)
	}
	u, err := ParseUsers(string(text))
	if err != nil {
		return nil, fmt.Errorf("read users: %s: %w", path, err)
	}
	return u, nil
}

// ParseUsers reads the text of a pcp.conf. Its error never holds a hash.
func ParseUsers(text string) (*Users, error) {
	u := &Users{hashes: map[string][]string{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		hash = strings.ToLower(hash)
		raw, err := hex.DecodeString(hash)
		switch {
		case !ok || name == "" || len(name) > maxUserField || strings.TrimSpace(name) != name:
			return nil, fmt.Errorf("line %d: write user:md5", i+1)
		case err != nil || len(raw) != md5.Size:
			return nil, fmt.Errorf("line %d: user %q: the hash is not 32 hexadecimal digits; pg_md5 prints it", i+1, name)
		}
		u.hashes[name] = append(u.hashes[name], hash)
	}
	return u, nil
}

// Challenge says whether response answers the salt as the PCP protocol wants it: the MD5, in
// hexadecimal digits, of hash with the user's name, hashed again with the salt.
func (u *Users) Challenge(user, response string, salt [4]byte) bool {
	good := 0
	for _, hash := range u.candidates(user) {
		want := md5Hex(md5Hex(hash+user) + string(salt[:]))
		good |= subtle.ConstantTimeCompare([]byte(want), []byte(response))
	}
	return good == 1 && u.hashes[user] != nil
}

// Password says whether the password is one of the user's.
func (u *Users) Password(user, password string) bool {
	good := 0
	for _, hash := range u.candidates(user) {
		good |= subtle.ConstantTimeCompare([]byte(hash), []byte(md5Hex(password)))
	}
	return good == 1 && u.hashes[user] != nil
}

// candidates are the user's hashes, or one that nobody has: a name that there is not takes as long.
func (u *Users) candidates(user string) []string {
	if h := u.hashes[user]; h != nil {
		return h
	}
	return []string{strings.Repeat("0", 2*md5.Size)}
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
