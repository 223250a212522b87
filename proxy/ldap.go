package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/wire"
)

// ldapTimeout bounds all that is asked of an LDAP server for one login.
const ldapTimeout = 10 * time.Second

// authenticateLDAP asks the client for its password and an LDAP server whether it is right
// (PostgreSQL manual 21.10). What the password is worth at servers remains to be seen.
func (srv *Server) authenticateLDAP(ctx context.Context, c *wire.Conn, req *startupRequest, rule auth.Rule, info auth.ConnInfo, set *settings) (auth.Credentials, error) {
	x := auth.NewPasswordExchange(req.key.User, func(password string) error {
		ctx, cancel := context.WithTimeout(ctx, ldapTimeout)
		defer cancel()
		return askLDAP(ctx, rule.LDAP, req.key.User, password, set.ldapTLS)
	})
	if err := exchange(c, x); err != nil {
		if e := wire.AsError(err); e.Code == auth.CodeInvalidPassword {
			return auth.Credentials{}, &wire.Error{Code: "28000", Message: fmt.Sprintf("LDAP authentication failed for user %q", req.key.User), Err: e.Err}
		}
		return auth.Credentials{}, err
	}
	return x.Credentials(), rule.CheckCertificate(set.ident, info, req.certificate())
}

var errLDAPName = errors.New("the user's name has characters that are not allowed in LDAP searches")

// askLDAP returns nil if the server lets the user in.
func askLDAP(ctx context.Context, l *auth.LDAP, user, password string, config *tls.Config) error {
	conn, err := dialLDAP(ctx, l, config)
	if err != nil {
		return fmt.Errorf("connect to LDAP server %s: %w", l.URL, err)
	}
	defer conn.Close()
	dn := l.Prefix + user + l.Suffix
	if l.BaseDN != "" {
		if dn, err = searchLDAP(conn, l, user); err != nil {
			return err
		}
	}
	// An empty password would be an anonymous bind, which succeeds; the exchange has refused it.
	if err := conn.Bind(dn, password); err != nil {
		return fmt.Errorf("bind as %q at %s: %w", dn, l.URL, err)
	}
	return nil
}

// dialLDAP connects; ctx's deadline holds for all that follows.
func dialLDAP(ctx context.Context, l *auth.LDAP, config *tls.Config) (*ldap.Conn, error) {
	u, err := url.Parse(l.URL)
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	config.ServerName = u.Hostname()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		nc.SetDeadline(deadline)
	}
	if u.Scheme == "ldaps" {
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		nc = secure
	}
	conn := ldap.NewConn(nc, u.Scheme == "ldaps")
	conn.Start()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetTimeout(time.Until(deadline))
	}
	if l.StartTLS {
		if err := conn.StartTLS(config); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// searchLDAP finds the one entry that is the user's.
func searchLDAP(conn *ldap.Conn, l *auth.LDAP, user string) (string, error) {
	// As in PostgreSQL. Others would need escapes that servers do not agree on.
	if strings.ContainsAny(user, `*()\/`) {
		return "", errLDAPName
	}
	var err error
	if l.BindDN == "" {
		err = conn.UnauthenticatedBind("")
	} else {
		err = conn.Bind(l.BindDN, l.BindPassword())
	}
	if err != nil {
		return "", fmt.Errorf("bind to search as %q at %s: %w", l.BindDN, l.URL, err)
	}
	filter := "(" + l.Attribute + "=" + user + ")"
	if l.Filter != "" {
		filter = strings.ReplaceAll(l.Filter, "$username", user)
	}
	scope := map[auth.LDAPScope]int{auth.LDAPBase: ldap.ScopeBaseObject, auth.LDAPOne: ldap.ScopeSingleLevel, auth.LDAPSub: ldap.ScopeWholeSubtree}[l.Scope]
	found, err := conn.Search(ldap.NewSearchRequest(l.BaseDN, scope, ldap.NeverDerefAliases, 2, int(ldapTimeout.Seconds()), false, filter, []string{"1.1"}, nil))
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
		return "", fmt.Errorf("search for %q at %s: %w", filter, l.URL, err)
	}
	if n := len(found.Entries); n != 1 {
		return "", fmt.Errorf("search for %q at %s: %d entries, want one", filter, l.URL, n)
	}
	return found.Entries[0].DN, nil
}
