package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	maxPasswdSize = 64 << 20 // bytes; about half a million SCRAM verifiers
	maxUserName   = 1024     // bytes; PostgreSQL's own limit is 63
	maxKeySize    = 255      // bytes of a key that Pgpool-II uses
)

// Passwd is a file of users and secrets, immutable and safe for concurrent use.
// A nil *Passwd knows nobody.
type Passwd struct {
	users    map[string]Secret
	warnings []string
}

// Lookup returns the secret of user; false means the file does not have him.
func (p *Passwd) Lookup(user string) (Secret, bool) {
	if p == nil {
		return Secret{}, false
	}
	s, ok := p.users[user]
	return s, ok
}

// Len returns the number of users.
func (p *Passwd) Len() int {
	if p == nil {
		return 0
	}
	return len(p.users)
}

// Warnings are for the log at load: what works but should not stay so.
func (p *Passwd) Warnings() []string {
	if p == nil {
		return nil
	}
	return p.warnings
}

// LoadPasswdFile reads PgBouncer's userlist or Pgpool-II's pool_passwd at path.
// keyFile decrypts the latter's AES secrets (.pgpoolkey: its first line is the
// key); "" means there is none. Its errors never hold a secret.
func LoadPasswdFile(path, keyFile string) (*Passwd, error) {
	var key []byte
	var warnings []string
	if keyFile != "" {
		text, warning, err := readSecretFile(keyFile)
		if err != nil {
			return nil, fmt.Errorf("read key file: %w", err)
		}
		if key = firstLine(text); len(key) == 0 {
			return nil, fmt.Errorf("read key file: %s: the first line is empty", keyFile)
		}
		warnings = append(warnings, warning...)
	}
	text, warning, err := readSecretFile(path)
	if err != nil {
		return nil, fmt.Errorf("read passwd file: %w", err)
	}
	p, err := ParsePasswd(path, bytes.NewReader(text), key)
	if err != nil {
		return nil, err
	}
	p.warnings = append(warnings, warning...)
	return p, nil
}

// readSecretFile also complains when others than the file's owner and group may read it.
func readSecretFile(path string) (text []byte, warnings []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o007 != 0 {
		warnings = []string{path + " is accessible to every user of this host; chmod 0600 it"}
	}
	text, err = readBounded(f, maxPasswdSize)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return text, warnings, err
}

// firstLine is the key as Pgpool-II takes it: without the newline, but with a
// carriage return if there is one, and cut at maxKeySize.
func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line[:min(len(line), maxKeySize)]
}

// ParsePasswd reads either format; fileName is for messages and key (may be nil)
// decrypts AES secrets. A file whose first entry begins with a double quote is a
// userlist:
//
//	; PgBouncer userlist              # Pgpool-II pool_passwd
//	"alice" "SCRAM-SHA-256$4096:…"    alice:md5…
//	"bob" "a ""quoted"" password"     bob:TEXTclear text
//	                                  carol:AES…base64…
//	                                  dave:clear text
//
// The error is Faults with every mistake, or that of r.
func ParsePasswd(fileName string, r io.Reader, key []byte) (*Passwd, error) {
	text, err := readBounded(r, maxPasswdSize)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", fileName, err)
	}
	p := passwdParser{file: fileName, key: key, users: make(map[string]Secret), lines: make(map[string]int)}
	lines := strings.Split(string(text), "\n")
	entry := p.poolPasswdLine
	if isUserlist(lines) {
		entry = p.userlistLine
	}
	for i, line := range lines {
		p.line = i + 1
		entry(strings.TrimSuffix(line, "\r"))
	}
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return &Passwd{users: p.users}, nil
}

// isUserlist judges by the first line that is neither blank nor a comment of either format.
func isUserlist(lines []string) bool {
	for _, line := range lines {
		line = strings.TrimLeft(line, " \t\r")
		if line != "" && line[0] != ';' && line[0] != '#' {
			return line[0] == '"'
		}
	}
	return true // only comments: the userlist reader skips both kinds
}

// passwdParser gathers users and every fault. Faults never quote a line.
type passwdParser struct {
	file   string
	key    []byte
	line   int
	users  map[string]Secret
	lines  map[string]int // where each user was first
	faults Faults
}

func (p *passwdParser) fault(what, hint string) { p.faults.add(p.file, p.line, what, hint) }

func (p *passwdParser) userlistLine(line string) {
	const form = `write "user" "secret", with quotes doubled inside`
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == ';' || line[0] == '#' {
		return
	}
	user, rest, ok := quoted(line)
	if !ok {
		p.fault("the user is not in double quotes", form)
		return
	}
	stored, _, ok := quoted(strings.TrimLeft(rest, " \t")) // PgBouncer ignores what follows
	if !ok {
		p.fault("the secret is not in double quotes", form)
		return
	}
	secret, err := ParseSecret(user, stored)
	p.add(user, secret, err)
}

// quoted takes a string in double quotes off the front of s.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == '"' {
			if i+1 >= len(s) || s[i+1] != '"' {
				return b.String(), s[i+1:], true
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func (p *passwdParser) poolPasswdLine(line string) {
	if strings.TrimSpace(line) == "" || line[0] == '#' {
		return
	}
	user, stored, ok := strings.Cut(line, ":")
	if !ok {
		p.fault("no colon", "write user:secret")
		return
	}
	secret, err := p.poolSecret(user, stored)
	p.add(user, secret, err)
}

// poolSecret knows Pgpool-II's prefixes besides PostgreSQL's own forms.
func (p *passwdParser) poolSecret(user, stored string) (Secret, error) {
	if len(stored) > maxSecret {
		return ParseSecret(user, stored) // for its error
	}
	if text, ok := strings.CutPrefix(stored, "TEXT"); ok {
		return plainOf(user, text)
	}
	if text, ok := strings.CutPrefix(stored, "AES"); ok {
		if len(p.key) == 0 {
			return Secret{}, errors.New("the AES secret needs a key: set auth.key_file to the .pgpoolkey file")
		}
		password, err := decryptAES(text, p.key)
		if err != nil {
			return Secret{}, err
		}
		return plainOf(user, password)
	}
	return ParseSecret(user, stored)
}

func plainOf(user, password string) (Secret, error) {
	if strings.IndexByte(password, 0) >= 0 {
		return Secret{}, errors.New("the password contains a zero byte")
	}
	return PlainSecret(user, password), nil
}

func (p *passwdParser) add(user string, secret Secret, err error) {
	first, twice := p.lines[user]
	switch {
	case user == "":
		p.fault("the user name is empty", "write a name, or remove the line")
	case len(user) > maxUserName || strings.IndexByte(user, 0) >= 0:
		p.fault("the user name is not one PostgreSQL could have", "correct it, or remove the line")
	case twice:
		p.fault(fmt.Sprintf("user %q is already on line %d", user, first), "remove one of them")
	case err != nil:
		p.fault(fmt.Sprintf("user %q: %v", user, strings.TrimPrefix(err.Error(), fmt.Sprintf("secret of user %q: ", user))), "")
	default:
		p.users[user] = secret
	}
	if !twice {
		p.lines[user] = p.line
	}
}
