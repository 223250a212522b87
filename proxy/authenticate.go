package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"strconv"
	"syscall"

	"github.com/jackc/pgproto3/v2"
	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/wire"
)

// connInfo is what the rules are matched against.
func (srv *Server) connInfo(ctx context.Context, req *startupRequest, set *settings) auth.ConnInfo {
	info := auth.ConnInfo{Database: req.key.Database, User: req.key.User, TLS: req.tls != nil, Replication: req.replication == physicalReplication}
	if addr, ok := req.from.(*net.TCPAddr); ok {
		ip, _ := netip.AddrFromSlice(addr.IP)
		info.Addr = ip.Unmap()
	} else {
		info.Local = true
	}
	info.Member = func(role string) (bool, error) { return srv.members.isMember(ctx, srv, req.key.User, role, set) }
	return info
}

// maxAuthRounds bounds the messages of one authentication; SCRAM needs two.
const maxAuthRounds = 5

// authenticate makes the client prove who it is, by the rule, and returns what howdah can
// prove to servers in its name.
func (srv *Server) authenticate(ctx context.Context, c *wire.Conn, req *startupRequest, rule auth.Rule, info auth.ConnInfo, set *settings) (auth.Credentials, error) {
	cert := req.certificate()
	if rule.ClientCert != auth.ClientCertAny && cert == nil {
		return auth.Credentials{}, rule.CheckCertificate(set.ident, info, nil)
	}
	if err := clearTextAllowed(rule.Method, info, set); err != nil {
		return auth.Credentials{}, err
	}
	if rule.Method == auth.MethodLDAP {
		return srv.authenticateLDAP(ctx, c, req, rule, info, set)
	}
	secret, known, err := srv.secretOf(ctx, req.key.User, rule.Method, set)
	if err != nil {
		return auth.Credentials{}, err
	}
	switch rule.Method {
	case auth.MethodPeer:
		account, err := peerOf(c)
		if err == nil {
			err = rule.CheckPeer(set.ident, info, account)
		}
		return secret.Credentials(), err
	case auth.MethodCert:
		return secret.Credentials(), rule.CheckCertificate(set.ident, info, cert)
	}
	x := srv.auth.NewExchange(rule.Method, req.key.User, secret, known)
	if req.tls != nil && set.tls != nil {
		x.Bind(set.tls.Binding)
	}
	if err := exchange(c, x); err != nil {
		return auth.Credentials{}, err
	}
	return x.Credentials(), rule.CheckCertificate(set.ident, info, cert)
}

// exchange goes through the messages of an authentication but for AuthenticationOk.
func exchange(c *wire.Conn, x *auth.Exchange) error {
	msg, done, err := x.Start()
	for range maxAuthRounds {
		if err != nil {
			return err
		}
		if err := sendAuth(c, msg); err != nil {
			return err
		}
		if done {
			return nil
		}
		typ, in, err2 := c.Next(auth.MaxMessageSize + wire.HeaderSize)
		if err2 != nil {
			return clientError{err2}
		}
		if typ != wire.Password {
			return &wire.Error{Code: "08P01", Message: fmt.Sprintf("expected password response, got message type %d", typ)}
		}
		msg, done, err = x.Step(in[wire.HeaderSize:])
	}
	return &wire.Error{Code: "08P01", Message: "authentication does not end"}
}

// sendAuth sends a message of the authentication but for AuthenticationOk, which
// comes with the rest of the welcome.
func sendAuth(c *wire.Conn, msg pgproto3.BackendMessage) error {
	if _, ok := msg.(*pgproto3.AuthenticationOk); ok || msg == nil {
		return nil
	}
	b, err := msg.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode authentication message: %w", err)
	}
	if err := c.Write(b); err != nil {
		return clientError{err}
	}
	return nil
}

// certificate is what the client has shown and the handshake has verified, or nil.
func (req *startupRequest) certificate() *x509.Certificate {
	if req.tls == nil || len(req.tls.VerifiedChains) == 0 {
		return nil
	}
	return req.tls.PeerCertificates[0]
}

// clearTextAllowed refuses to ask for a password that others could read on its way.
func clearTextAllowed(method auth.Method, info auth.ConnInfo, set *settings) error {
	if method != auth.MethodPassword && method != auth.MethodLDAP || set.auth.ClearText == "any" {
		return nil
	}
	if info.TLS || info.Local || info.Addr.IsLoopback() {
		return nil
	}
	return &wire.Error{Code: "28000", Message: fmt.Sprintf("method %s would send the password of user %q in clear text", method, info.User),
		Hint: "Connect with sslmode=require. (The operator's setting is auth.clear_text.)"}
}

// peerOf is the name of the account that a local client's process runs as.
func peerOf(c *wire.Conn) (string, error) {
	failed := func(err error) error {
		return &wire.Error{Code: "28000", Message: "could not get peer credentials", Err: err}
	}
	nc, ok := c.NetConn().(syscall.Conn)
	if !ok || !isLocal(c) {
		return "", failed(errors.New("not a Unix socket"))
	}
	raw, err := nc.SyscallConn()
	if err != nil {
		return "", failed(err)
	}
	var cred *unix.Ucred
	var errOpt error
	err = raw.Control(func(fd uintptr) { cred, errOpt = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, errOpt); err != nil {
		return "", failed(err)
	}
	account, err := user.LookupId(strconv.FormatUint(uint64(cred.Uid), 10))
	if err != nil {
		return "", failed(err)
	}
	return account.Username, nil
}
