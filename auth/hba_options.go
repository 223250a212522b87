package auth

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ClientCert is what a rule demands of a client's certificate besides its method.
type ClientCert uint8

const (
	// ClientCertAny demands none.
	ClientCertAny ClientCert = iota
	// ClientCertCA demands one of a known authority.
	ClientCertCA
	// ClientCertFull demands that it is the user's, too.
	ClientCertFull
)

// LDAP are the options of method ldap (PostgreSQL manual 21.10). It prints without its password.
type LDAP struct {
	URL      string // ldap://host:port or ldaps://host:port
	StartTLS bool
	// Prefix and Suffix around the user's name are what a simple bind binds as.
	Prefix, Suffix string
	// BaseDN turns on search and bind: below it, Attribute or Filter finds the user.
	BaseDN, BindDN    string
	Attribute, Filter string
	Scope             LDAPScope

	password sealed[string]
}

// LDAPScope is how deep a search goes.
type LDAPScope uint8

const (
	LDAPBase LDAPScope = iota
	LDAPOne
	LDAPSub
)

// BindPassword is ldapbindpasswd. The caller must not log it.
func (l *LDAP) BindPassword() string {
	if p := l.password.open(); p != nil {
		return *p
	}
	return ""
}

// ldapOptions are the raw words of a rule.
type ldapOptions struct {
	server, scheme, url string
	port                int
}

// options reads name=value fields. Values are not shown, as they may be secret.
func (r *recordReader) options() bool {
	good := true
	fault := func(what, hint string) {
		r.fault(what, hint)
		good = false
	}
	var raw ldapOptions
	if r.rule.Method == MethodLDAP {
		r.rule.LDAP = &LDAP{Scope: LDAPSub}
	}
	if r.rule.Method == MethodCert {
		r.rule.ClientCert = ClientCertFull
	}
	for field, ok := r.next(); ok; field, ok = r.next() {
		for _, t := range field {
			option, value, isOption := strings.Cut(t.text, "=")
			switch {
			case !isOption:
				fault("authentication option not in name=value format", "remove it")
			case strings.HasPrefix(option, "ldap"):
				if r.rule.LDAP == nil {
					fault(fmt.Sprintf("authentication option %q is only valid for method ldap", option), "remove it")
				} else if what := raw.take(r.rule.LDAP, option, value); what != "" {
					fault(what, "see PostgreSQL manual 21.10")
				}
			default:
				if what, hint := r.option(option, value); what != "" {
					fault(what, hint)
				}
			}
		}
	}
	if r.rule.LDAP != nil && good {
		if what := raw.finish(r.rule.LDAP); what != "" {
			fault(what, "see PostgreSQL manual 21.10")
		}
	}
	return good
}

func (r *recordReader) option(option, value string) (what, hint string) {
	switch option {
	case "clientcert":
		switch {
		case r.rule.conn != connHostSSL:
			return `clientcert can only be configured for "hostssl" rows`, "write hostssl"
		case value == "verify-full":
			r.rule.ClientCert = ClientCertFull
		case value == "verify-ca" && r.rule.Method == MethodCert:
			return `clientcert only accepts "verify-full" when using "cert" authentication`, "remove it"
		case value == "verify-ca":
			r.rule.ClientCert = ClientCertCA
		default:
			return "invalid value for clientcert", "write verify-ca or verify-full"
		}
	case "clientname":
		switch {
		case r.rule.conn != connHostSSL:
			return `clientname can only be configured for "hostssl" rows`, "write hostssl"
		case value == "CN":
			r.rule.wholeName = false
		case value == "DN":
			r.rule.wholeName = true
		default:
			return "invalid value for clientname", "write CN or DN"
		}
	case "map":
		if r.rule.Method != MethodCert && r.rule.Method != MethodPeer {
			return `authentication option "map" is only valid for authentication methods cert and peer`, "remove it"
		}
		r.rule.Map = value
	default:
		return fmt.Sprintf("authentication option %q is not known", option), "remove it"
	}
	return "", ""
}

// take reads one option; it returns what is wrong.
func (o *ldapOptions) take(l *LDAP, option, value string) string {
	switch option {
	case "ldapserver":
		o.server = value
	case "ldapport":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n == 0 {
			return "invalid LDAP port number"
		}
		o.port = int(n)
	case "ldapscheme":
		if value != "ldap" && value != "ldaps" {
			return "invalid ldapscheme value"
		}
		o.scheme = value
	case "ldaptls":
		l.StartTLS = value == "1"
	case "ldapprefix":
		l.Prefix = value
	case "ldapsuffix":
		l.Suffix = value
	case "ldapbasedn":
		l.BaseDN = value
	case "ldapbinddn":
		l.BindDN = value
	case "ldapbindpasswd":
		l.password = seal(&value)
	case "ldapsearchattribute":
		l.Attribute = value
	case "ldapsearchfilter":
		l.Filter = value
	case "ldapurl":
		o.url = value
	default:
		return fmt.Sprintf("authentication option %q is not known", option)
	}
	return ""
}

// finish checks what belongs together and makes the address.
func (o *ldapOptions) finish(l *LDAP) string {
	if o.url != "" {
		if what := o.fromURL(l); what != "" {
			return what
		}
	}
	search := l.BaseDN != "" || l.BindDN != "" || l.Attribute != "" || l.Filter != "" || l.password.open() != nil
	switch {
	case o.server == "":
		return `authentication method "ldap" requires option "ldapserver"`
	case strings.ContainsAny(o.server, " "):
		return "one ldapserver only is supported"
	case search && (l.Prefix != "" || l.Suffix != ""):
		return "cannot mix options for simple bind and search+bind modes"
	case search && l.BaseDN == "" || !search && l.Prefix == "" && l.Suffix == "":
		return `authentication method "ldap" requires option "ldapbasedn", "ldapprefix", or "ldapsuffix" to be set`
	case l.Attribute != "" && l.Filter != "":
		return "cannot use ldapsearchattribute together with ldapsearchfilter"
	case l.StartTLS && o.scheme == "ldaps":
		return "cannot use ldaptls together with ldaps"
	}
	if o.scheme == "" {
		o.scheme = "ldap"
	}
	if o.port == 0 {
		o.port = map[string]int{"ldap": 389, "ldaps": 636}[o.scheme]
	}
	if l.Attribute == "" {
		l.Attribute = "uid"
	}
	l.URL = fmt.Sprintf("%s://%s", o.scheme, hostPort(o.server, o.port))
	return ""
}

// fromURL reads ldap[s]://host[:port]/basedn[?[attribute][?[scope][?[filter]]]] (RFC 4516).
func (o *ldapOptions) fromURL(l *LDAP) string {
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" {
		return "could not parse ldapurl"
	}
	o.scheme, o.server = u.Scheme, u.Hostname()
	if text := u.Port(); text != "" {
		if what := o.take(l, "ldapport", text); what != "" {
			return what
		}
	}
	l.BaseDN = strings.TrimPrefix(u.Path, "/")
	parts := strings.SplitN(u.RawQuery, "?", 3)
	l.Scope = LDAPBase // RFC 4516's default
	for i, part := range parts {
		if part, err = url.PathUnescape(part); err != nil {
			return "could not parse ldapurl"
		}
		switch {
		case part == "":
		case i == 0:
			l.Attribute = part
		case i == 1:
			scope, ok := map[string]LDAPScope{"base": LDAPBase, "one": LDAPOne, "sub": LDAPSub}[part]
			if !ok {
				return "unknown scope in ldapurl"
			}
			l.Scope = scope
		case i == 2:
			l.Filter = part
			l.Attribute = ""
		}
	}
	return ""
}

func hostPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}
