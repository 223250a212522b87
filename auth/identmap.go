package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Ident are the maps of pg_ident.conf: which names of other systems (of certificates, of
// the operating system) may be which users (PostgreSQL manual 21.2). It is immutable; nil
// has no map.
type Ident struct{ lines []identLine }

type identLine struct {
	name   string // of the map
	system name
	user   name
	place  string
}

// LoadIdentFile reads a pg_ident.conf.
func LoadIdentFile(path string) (*Ident, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open ident file: %w", err)
	}
	defer f.Close()
	return ParseIdent(path, f)
}

// ParseIdent reads records in pg_ident.conf syntax; the error is as ParseHBA's.
func ParseIdent(fileName string, r io.Reader) (*Ident, error) {
	p := &identParser{}
	if err := p.read(fileName, r, p.record); err != nil {
		return nil, err
	}
	return p.finish()
}

// ParseIdentLines reads one record per element; faults count elements from 1, in the
// file called auth.ident.
func ParseIdentLines(lines []string) (*Ident, error) {
	p := &identParser{}
	if err := p.readLines("auth.ident", lines, p.record); err != nil {
		return nil, err
	}
	return p.finish()
}

type identParser struct {
	lineReader
	lines []identLine
}

func (p *identParser) finish() (*Ident, error) {
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return &Ident{lines: p.lines}, nil
}

func (p *identParser) record(file string, line int, fields [][]token) {
	fault := func(what, hint string) { p.faults.add(file, line, what, hint) }
	const form = "write the map's name, the name of the other system, and the user"
	if len(fields) != 3 || len(fields[0]) != 1 || len(fields[1]) != 1 || len(fields[2]) != 1 {
		fault("has not three fields of one value each", form)
		return
	}
	if len(p.lines) >= maxHBARules {
		fault(fmt.Sprintf("more than %d records", maxHBARules), "shorten the file")
		return
	}
	l := identLine{name: fields[0][0].text, place: fmt.Sprintf("%s:%d", file, line)}
	var problem, hint string
	if text := fields[1][0].text; strings.HasPrefix(text, "/") {
		l.system, problem, hint = parseRegexp(text[1:])
	} else {
		l.system = name{kind: nameExact, text: text}
	}
	switch t := fields[2][0]; {
	case problem != "":
	case strings.Contains(t.text, `\1`) && l.system.kind == nameRegexp:
		if l.system.regex.NumSubexp() == 0 {
			problem, hint = fmt.Sprintf(`regular expression "%s" has no subexpressions as requested by backreference in "%s"`, fields[1][0].text[1:], t.text), form
		}
		l.user = name{kind: nameExact, text: t.text}
		if strings.HasPrefix(t.text, "/") {
			problem, hint = "a regular expression for the user cannot have \\1 in it", form
		}
	case t.is("all"):
		l.user = name{kind: nameAll}
	case !t.quoted && len(t.text) > 1 && t.text[0] == '+':
		l.user = name{kind: nameMember, text: t.text[1:]}
	case strings.HasPrefix(t.text, "/"):
		l.user, problem, hint = parseRegexp(t.text[1:])
	default:
		l.user = name{kind: nameExact, text: t.text}
	}
	if problem != "" {
		fault(problem, hint)
		return
	}
	p.lines = append(p.lines, l)
}

// Maps reports whether by the map system may be c's user. Without a map ("") the names must
// be the same.
func (i *Ident) Maps(usermap, system string, c ConnInfo) (bool, error) {
	if usermap == "" {
		return system == c.User, nil
	}
	if i == nil {
		return false, nil
	}
	for _, l := range i.lines {
		if l.name != usermap {
			continue
		}
		if ok, err := l.fits(system, c); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (l *identLine) fits(system string, c ConnInfo) (bool, error) {
	user := l.user
	if l.system.kind == nameRegexp {
		match := l.system.regex.FindStringSubmatch(system)
		if match == nil {
			return false, nil
		}
		if user.kind == nameExact && len(match) > 1 {
			user.text = strings.Replace(user.text, `\1`, match[1], 1) // the first, as in PostgreSQL
		}
	} else if l.system.text != system {
		return false, nil
	}
	if user.kind == nameMember {
		return c.member(user.text)
	}
	return user.matches(c.User), nil
}

// CheckCertificate holds the client's certificate, nil if it has none, against what the rule
// demands of it. The certificate must have been verified.
func (r Rule) CheckCertificate(i *Ident, c ConnInfo, cert *x509.Certificate) error {
	if r.ClientCert == ClientCertAny {
		return nil
	}
	if cert == nil {
		return &Error{Code: CodeInvalidAuthorization, Message: "connection requires a valid client certificate"}
	}
	if r.ClientCert == ClientCertCA {
		return nil
	}
	system, what := cert.Subject.CommonName, "common name"
	if r.wholeName {
		what = "distinguished name"
		var err error
		if system, err = distinguishedName(cert.RawSubject); err != nil {
			return r.notThis(c, err)
		}
	}
	switch ok, err := i.Maps(r.Map, system, c); {
	case err != nil:
		return r.notThis(c, err)
	case system == "":
		return r.notThis(c, fmt.Errorf("the client's certificate has no %s", what))
	case strings.IndexByte(system, 0) >= 0:
		return r.notThis(c, errors.New("the name in the client's certificate has a zero byte"))
	case !ok:
		return r.notThis(c, fmt.Errorf("the client's certificate is for %q, map %q", system, r.Map))
	}
	return nil
}

// CheckPeer holds the name that the operating system has for the client's process
// against the rule.
func (r Rule) CheckPeer(i *Ident, c ConnInfo, account string) error {
	switch ok, err := i.Maps(r.Map, account, c); {
	case err != nil:
		return r.notThis(c, err)
	case !ok:
		return r.notThis(c, fmt.Errorf("the client's process is of %q, map %q", account, r.Map))
	}
	return nil
}

// notThis is PostgreSQL's refusal by a method that has no password.
func (r Rule) notThis(c ConnInfo, cause error) *Error {
	method := map[Method]string{MethodCert: "certificate", MethodPeer: "Peer", MethodTrust: `"trust"`}[r.Method]
	if method == "" {
		return &Error{Code: CodeInvalidPassword, Message: fmt.Sprintf("password authentication failed for user %q", c.User), Err: cause}
	}
	return &Error{Code: CodeInvalidAuthorization, Message: fmt.Sprintf("%s authentication failed for user %q", method, c.User), Err: cause}
}
