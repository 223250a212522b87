package auth

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
)

// Method is how a client must prove who it is.
type Method uint8

// The methods of pg_hba.conf that howdah has (PostgreSQL manual 21.3). The zero
// Method rejects.
const (
	MethodReject Method = iota
	MethodTrust
	MethodPassword
	MethodMD5
	MethodSCRAM
	MethodCert
	MethodPeer
	MethodLDAP
)

func (m Method) String() string {
	switch m {
	case MethodTrust:
		return "trust"
	case MethodPassword:
		return "password"
	case MethodMD5:
		return "md5"
	case MethodSCRAM:
		return mechanismMethod
	case MethodCert:
		return "cert"
	case MethodPeer:
		return "peer"
	case MethodLDAP:
		return "ldap"
	}
	return "reject"
}

// HBA is a list of rules in the order written (PostgreSQL manual 21.1). It is
// immutable and safe for concurrent use. The zero HBA refuses everybody.
type HBA struct{ rules []Rule }

// Rule is one record of the file.
type Rule struct {
	File   string
	Line   int // 1-based; of the first line if continued
	Method Method
	// ClientCert is what the client's certificate must prove besides.
	ClientCert ClientCert
	// Map is the map of pg_ident.conf for the names of other systems; "" is none.
	Map  string
	LDAP *LDAP // of method ldap

	// wholeName compares the certificate's distinguished name, not its common name.
	wholeName bool
	conn      connType
	databases []name
	users     []name
	addr      address
}

// String names the rule's place, for logs: file:line method.
func (r Rule) String() string { return fmt.Sprintf("%s:%d %s", r.File, r.Line, r.Method) }

// ConnInfo is what rules are matched against.
type ConnInfo struct {
	Local    bool // over a Unix socket; Addr is then ignored
	TLS      bool
	Database string
	User     string
	Addr     netip.Addr
	// Replication is a physical replication connection (replication=true). A
	// logical one (replication=database) is an ordinary connection here.
	Replication bool
	// Interfaces lists this host's addresses with their networks, for samehost
	// and samenet; nil asks the operating system.
	Interfaces func() ([]netip.Prefix, error)
	// Member says whether the user is a member of a role, itself included, directly
	// or not; for +role and samerole. It asks a server, so it may fail.
	Member func(role string) (bool, error)
}

// Rules returns how many rules there are.
func (h *HBA) Rules() int { return len(h.rules) }

// WarnTLS says which rules can let in nobody, as clients get no TLS, or are not asked for certificates.
func (h *HBA) WarnTLS(hasTLS, asksCertificates bool) (warnings []string) {
	for _, r := range h.rules {
		switch {
		case r.conn == connHostSSL && !hasTLS:
			warnings = append(warnings, fmt.Sprintf("%s: hostssl record cannot match because there is no tls.client.cert", r))
		case r.ClientCert != ClientCertAny && !asksCertificates:
			warnings = append(warnings, fmt.Sprintf("%s: clients are not asked for certificates without tls.client.ca", r))
		}
		if len(warnings) >= maxFaults {
			break
		}
	}
	return warnings
}

// Match returns the first rule that fits, false if none does. An error is that of
// what had to be asked (host addresses, memberships): a later rule might let in whom
// an earlier one rejects, so none counts then.
func (h *HBA) Match(c ConnInfo) (Rule, bool, error) {
	c.Addr = c.Addr.Unmap().WithZone("")
	for _, r := range h.rules {
		if !r.conn.fits(c) {
			continue
		}
		// As in PostgreSQL the address comes first; it costs least.
		if r.conn != connLocal {
			if fits, err := r.addr.fits(c); err != nil || !fits {
				if err != nil {
					return Rule{}, false, fmt.Errorf("%s: %w", r, err)
				}
				continue
			}
		}
		fits, err := r.fitsDatabase(c)
		if fits && err == nil {
			fits, err = r.fitsUser(c)
		}
		if err != nil {
			return Rule{}, false, fmt.Errorf("%s: %w", r, err)
		}
		if fits {
			return r, true, nil
		}
	}
	return Rule{}, false, nil
}

// Check is Match with PostgreSQL's refusals (always an *Error, FATAL 28000) for
// no rule and for method reject.
func (h *HBA) Check(c ConnInfo) (Rule, error) {
	r, ok, err := h.Match(c)
	switch {
	case err != nil:
		return Rule{}, &Error{Code: CodeInvalidAuthorization, Message: fmt.Sprintf("user %q cannot be authenticated now", c.User),
			Hint: "The operator finds the reason in howdah's log.", Err: err}
	case !ok:
		return Rule{}, c.refusal("no pg_hba.conf entry for", "replication connection from host", nil)
	case r.Method == MethodReject:
		return r, c.refusal("pg_hba.conf rejects", "replication connection for host", fmt.Errorf("rejected by %s", r))
	}
	return r, nil
}

// refusal words what PostgreSQL's ClientAuthentication says in auth.c.
func (c ConnInfo) refusal(verdict, replication string, cause error) *Error {
	host, encryption := "[local]", "no encryption"
	if !c.Local {
		host = c.Addr.Unmap().String()
	}
	if c.TLS {
		encryption = "SSL encryption"
	}
	e := &Error{Code: CodeInvalidAuthorization, Err: cause}
	switch {
	case c.Replication:
		e.Message = fmt.Sprintf(`%s %s "%s", user "%s", %s`, verdict, replication, host, c.User, encryption)
	case cause != nil:
		e.Message = fmt.Sprintf(`%s connection for host "%s", user "%s", database "%s", %s`, verdict, host, c.User, c.Database, encryption)
	default:
		e.Message = fmt.Sprintf(`%s host "%s", user "%s", database "%s", %s`, verdict, host, c.User, c.Database, encryption)
	}
	return e
}

// connType is a record's first field.
type connType uint8

const (
	connLocal connType = iota
	connHost
	connHostSSL
	connHostNoSSL
	connHostGSS // never fits: howdah has no GSSAPI encryption
	connHostNoGSS
)

func (t connType) fits(c ConnInfo) bool {
	if c.Local {
		return t == connLocal
	}
	switch t {
	case connHost, connHostNoGSS:
		return true
	case connHostSSL:
		return c.TLS
	case connHostNoSSL:
		return !c.TLS
	}
	return false
}

// nameKind is what an element of the database or user field means.
type nameKind uint8

const (
	nameExact nameKind = iota
	nameAll
	nameSameUser
	nameReplication
	nameRegexp
	nameMember   // +role
	nameSameRole // samerole: the user is a member of the role named like the database
)

type name struct {
	kind  nameKind
	text  string
	regex *regexp.Regexp
}

func (n name) matches(s string) bool {
	switch n.kind {
	case nameAll:
		return true
	case nameExact:
		return n.text == s
	case nameRegexp:
		return n.regex.MatchString(s)
	}
	return false
}

// fitsDatabase: physical replication fits the word replication and nothing
// else, not even all.
func (r Rule) fitsDatabase(c ConnInfo) (bool, error) {
	for _, n := range r.databases {
		switch {
		case c.Replication:
			if n.kind == nameReplication {
				return true, nil
			}
		case n.kind == nameSameUser:
			if c.Database == c.User {
				return true, nil
			}
		case n.kind == nameSameRole:
			if is, err := c.member(c.Database); is || err != nil {
				return is, err
			}
		case n.matches(c.Database):
			return true, nil
		}
	}
	return false, nil
}

func (r Rule) fitsUser(c ConnInfo) (bool, error) {
	for _, n := range r.users {
		if n.kind == nameMember {
			if is, err := c.member(n.text); is || err != nil {
				return is, err
			}
		} else if n.matches(c.User) {
			return true, nil
		}
	}
	return false, nil
}

// member reports whether the user is a member of the role.
func (c ConnInfo) member(role string) (bool, error) {
	if c.Member == nil {
		return false, fmt.Errorf("members of role %q are not known here", role)
	}
	return c.Member(role)
}

// addrKind is what a record's address field means.
type addrKind uint8

const (
	addrAll addrKind = iota
	addrMask
	addrSameHost
	addrSameNet
)

type address struct {
	kind addrKind
	// ip and mask are of one family. A mask need not be a prefix, as in PostgreSQL.
	ip, mask netip.Addr
}

func (a address) fits(c ConnInfo) (bool, error) {
	switch a.kind {
	case addrAll:
		return true, nil
	case addrMask:
		return equalUnder(a.mask, a.ip, c.Addr), nil
	}
	interfaces := c.Interfaces
	if interfaces == nil {
		interfaces = hostInterfaces
	}
	prefixes, err := interfaces()
	if err != nil {
		return false, fmt.Errorf("list interface addresses: %w", err)
	}
	for _, p := range prefixes {
		if p.Addr() == c.Addr || a.kind == addrSameNet && p.Contains(c.Addr) {
			return true, nil
		}
	}
	return false, nil
}

func equalUnder(mask, a, b netip.Addr) bool {
	if !b.IsValid() || a.BitLen() != b.BitLen() {
		return false
	}
	m, x, y := mask.AsSlice(), a.AsSlice(), b.AsSlice()
	for i := range m {
		if (x[i]^y[i])&m[i] != 0 {
			return false
		}
	}
	return true
}

// hostInterfaces asks the operating system at every match, as PostgreSQL does:
// addresses come and go, howdah's own floating one among them.
func hostInterfaces() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return prefixes, nil
}
