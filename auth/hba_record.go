package auth

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hbaParser gathers rules and every fault.
type hbaParser struct {
	lineReader
	rules []Rule
}

func (p *hbaParser) finish() (*HBA, error) {
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return &HBA{rules: p.rules}, nil
}

// record reads one record; one with a fault yields no rule.
func (p *hbaParser) record(file string, line int, fields [][]token) {
	fault := func(what, hint string) { p.faults.add(file, line, what, hint) }
	if len(p.rules) >= maxHBARules {
		if len(p.rules) == maxHBARules {
			fault(fmt.Sprintf("more than %d rules", maxHBARules), "shorten the file")
			p.rules = append(p.rules, Rule{}) // say so once
		}
		return
	}
	r := recordReader{fields: fields, rule: Rule{File: file, Line: line}, fault: fault}
	if r.read() {
		p.rules = append(p.rules, r.rule)
	}
}

// recordReader takes the fields of one record from left to right. Each step
// reports its fault and returns false.
type recordReader struct {
	fields [][]token
	rule   Rule
	fault  func(what, hint string)
}

func (r *recordReader) read() bool {
	if !r.connType() {
		return false
	}
	// Faults of the databases and the users are both worth reporting.
	db := r.names("database", &r.rule.databases)
	if db == missingField {
		return false
	}
	user := r.names("user", &r.rule.users)
	if user == missingField {
		return false
	}
	if r.rule.conn != connLocal && !r.address() {
		return false
	}
	return r.method() && db == goodField && user == goodField
}

// next takes the next field, if there is one.
func (r *recordReader) next() ([]token, bool) {
	if len(r.fields) == 0 {
		return nil, false
	}
	f := r.fields[0]
	r.fields = r.fields[1:]
	return f, true
}

// single takes the next field, which must be there and have one token.
func (r *recordReader) single(what, hint string) (token, bool) {
	f, ok := r.next()
	if !ok {
		r.fault("end of line before "+what, hint)
		return token{}, false
	}
	if len(f) > 1 {
		r.fault("multiple values specified for "+what, "specify exactly one "+what+" per line")
		return token{}, false
	}
	return f[0], true
}

func (r *recordReader) connType() bool {
	t, ok := r.single("connection type", "")
	if !ok {
		return false
	}
	switch t.text {
	case "local":
		r.rule.conn = connLocal
	case "host":
		r.rule.conn = connHost
	case "hostssl":
		r.rule.conn = connHostSSL
	case "hostnossl":
		r.rule.conn = connHostNoSSL
	case "hostgssenc":
		r.rule.conn = connHostGSS
	case "hostnogssenc":
		r.rule.conn = connHostNoGSS
	default:
		r.fault(fmt.Sprintf("invalid connection type %q", t.text), "use local, host, hostssl, hostnossl, hostgssenc or hostnogssenc")
		return false
	}
	return true
}

// fieldState is how reading a list of names went.
type fieldState uint8

const (
	goodField fieldState = iota
	badField             // reported; the rest of the record can still be read
	missingField
)

func (r *recordReader) names(what string, into *[]name) fieldState {
	field, ok := r.next()
	if !ok {
		r.fault("end of line before "+what+" specification", "write connection type, database, user, address (not for local) and method")
		return missingField
	}
	state := goodField
	for _, t := range field {
		n, problem, hint := parseName(what, t)
		if problem != "" {
			r.fault(problem, hint)
			state = badField
			continue
		}
		*into = append(*into, n)
	}
	return state
}

// parseName reads one element of the database or user field.
func parseName(what string, t token) (_ name, problem, hint string) {
	switch {
	case t.is("all"):
		return name{kind: nameAll}, "", ""
	case what == "database" && t.is("sameuser"):
		return name{kind: nameSameUser}, "", ""
	case what == "database" && t.is("replication"):
		return name{kind: nameReplication}, "", ""
	case what == "database" && (t.is("samerole") || t.is("samegroup")):
		return name{kind: nameSameRole}, "", ""
	case what == "user" && !t.quoted && len(t.text) > 1 && t.text[0] == '+':
		return name{kind: nameMember, text: t.text[1:]}, "", ""
	case strings.HasPrefix(t.text, "/"): // also when quoted, so that it may hold commas and blanks
		return parseRegexp(t.text[1:])
	case t.text == "":
		return name{}, "empty " + what + " name", "write a name, or all"
	}
	return name{kind: nameExact, text: t.text}, "", ""
}

// parseRegexp takes what PostgreSQL's and Go's regular expressions mean alike,
// and refuses the escapes that both accept with different meanings.
func parseRegexp(source string) (_ name, problem, hint string) {
	const where = "PostgreSQL manual 9.7.3"
	for i := 0; i < len(source)-1; i++ {
		if source[i] == '(' && source[i+1] == '?' && !strings.HasPrefix(source[i:], "(?:") {
			return name{}, fmt.Sprintf(`regular expression "%s": of the groups that begin with (? only (?: is supported`, source), "see " + where
		}
		if source[i] != '\\' {
			continue
		}
		if i++; strings.IndexByte("bBmMyYzQECpPx0123456789", source[i]) >= 0 {
			return name{}, fmt.Sprintf(`regular expression "%s": the escape \%c is not supported`, source, source[i]), "see " + where + "; ^ and $ anchor"
		}
	}
	if strings.Contains(source, "[[.") || strings.Contains(source, "[[=") {
		return name{}, fmt.Sprintf(`regular expression "%s": collating elements are not supported`, source), "see " + where
	}
	if source == "" {
		return name{}, "empty regular expression", "write all to match everything"
	}
	if _, err := regexp.Compile(source); err != nil {
		return name{}, fmt.Sprintf(`invalid regular expression "%s": %v`, source, err), "see " + where
	}
	re, err := regexp.Compile("(?s)" + source) // . is any character in PostgreSQL
	if err != nil {
		return name{}, fmt.Sprintf(`invalid regular expression "%s": %v`, source, err), "see " + where
	}
	return name{kind: nameRegexp, regex: re}, "", ""
}

func (r *recordReader) address() bool {
	const hint = "write all, samehost, samenet, or an IP address with /prefix or mask"
	t, ok := r.single("IP address specification", hint)
	if !ok {
		return false
	}
	switch {
	case t.is("all"):
		r.rule.addr = address{kind: addrAll}
		return true
	case t.is("samehost"):
		r.rule.addr = address{kind: addrSameHost}
		return true
	case t.is("samenet"):
		r.rule.addr = address{kind: addrSameNet}
		return true
	}
	text, bits, hasBits := strings.Cut(t.text, "/")
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil && hasBits:
		r.fault(fmt.Sprintf("invalid IP address %q", t.text), hint)
	case err != nil && looksLikeHostName(text):
		r.fault(fmt.Sprintf("host name %q: host names are not supported yet", text), "write its IP address, as 127.0.0.1/32 or ::1/128 for localhost")
	case err != nil:
		r.fault(fmt.Sprintf("invalid IP address %q", text), hint)
	case ip.Zone() != "":
		r.fault(fmt.Sprintf("IP address %q has a zone", text), "write it without %"+ip.Zone())
	case hasBits:
		return r.prefix(ip, bits)
	default:
		return r.mask(ip)
	}
	return false
}

// looksLikeHostName is for the choice of message only: digits, dots and colons
// alone are a mistyped address.
func looksLikeHostName(s string) bool {
	return strings.Trim(s, "0123456789.:") != "" && !strings.Contains(s, ":")
}

func (r *recordReader) prefix(ip netip.Addr, bits string) bool {
	n, err := strconv.ParseUint(bits, 10, 8)
	if err != nil || int(n) > ip.BitLen() {
		r.fault(fmt.Sprintf("invalid CIDR mask in address %q", ip.String()+"/"+bits), fmt.Sprintf("write a prefix length from 0 to %d", ip.BitLen()))
		return false
	}
	mask := make([]byte, ip.BitLen()/8)
	for i := range int(n) {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	m, _ := netip.AddrFromSlice(mask)
	r.rule.addr = address{kind: addrMask, ip: ip, mask: m}
	return true
}

func (r *recordReader) mask(ip netip.Addr) bool {
	t, ok := r.single("netmask specification", "specify an address range in CIDR notation, or provide a separate netmask")
	if !ok {
		return false
	}
	m, err := netip.ParseAddr(t.text)
	if err != nil || m.Zone() != "" {
		r.fault(fmt.Sprintf("invalid IP mask %q", t.text), "write "+ip.String()+"/prefix, or an IP mask after the address")
		return false
	}
	if m.BitLen() != ip.BitLen() {
		r.fault("IP address and mask do not match", "write both as IPv4 or both as IPv6")
		return false
	}
	r.rule.addr = address{kind: addrMask, ip: ip, mask: m}
	return true
}

// methods are those that howdah has.
var methods = map[string]Method{"trust": MethodTrust, "reject": MethodReject, "password": MethodPassword, "md5": MethodMD5,
	mechanismMethod: MethodSCRAM, "cert": MethodCert, "peer": MethodPeer, "ldap": MethodLDAP}

func (r *recordReader) method() bool {
	const known = "use trust, reject, password, md5, scram-sha-256, cert, peer or ldap"
	t, ok := r.single("authentication method", known)
	if !ok {
		return false
	}
	r.rule.Method, ok = methods[t.text]
	switch {
	case ok && r.rule.Method == MethodCert && r.rule.conn != connHostSSL:
		r.fault("cert authentication is only supported on hostssl connections", "write hostssl")
	case ok && r.rule.Method == MethodPeer && r.rule.conn != connLocal:
		r.fault("peer authentication is only supported on local sockets", "write local, or another method")
	case ok:
		return r.options()
	case t.text == "ident":
		r.fault(`authentication method "ident" is not supported: it takes the client's host at its word`, "use cert, or peer for local")
	case slices.Contains([]string{"gss", "sspi", "radius", "pam", "bsd", "oauth"}, t.text):
		r.fault(fmt.Sprintf("authentication method %q is not supported", t.text), known)
	default:
		r.fault(fmt.Sprintf("invalid authentication method %q", t.text), known)
	}
	return false
}
