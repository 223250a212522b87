package auth

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgproto3/v2"
)

// Authentication request codes of 'R' messages (PostgreSQL manual 55.7).
const (
	requestOk           = 0
	requestKerberosV5   = 2
	requestPassword     = 3
	requestSCMCreds     = 6
	requestMD5          = 5
	requestGSS          = 7
	requestGSSContinue  = 8
	requestSSPI         = 9
	requestSASL         = 10
	requestSASLContinue = 11
	requestSASLFinal    = 12
)

// loginState is what a Login waits for.
type loginState uint8

const (
	loginNew       loginState = iota // the server's wish, or Ok
	loginAnswered                    // Ok, after a password was sent
	loginSASLFirst                   // server-first-message
	loginSASLFinal                   // server-final-message
	loginVerified                    // Ok, after the server proved itself
	loginDone                        // nothing
	loginFailed                      // nothing
)

// Login proves howdah to a server in a user's name:
//
//	New --(Ok)----------------------------------------> Done
//	 +--(password, md5)--> Answered --(Ok)------------> Done
//	 +--(SASL)--> SASLFirst -> SASLFinal -> Verified -> Done
//
// A server that skips a step, or leaves SCRAM before proving that it knows the
// password too, is refused. It belongs to one goroutine.
type Login struct {
	user  string
	creds Credentials
	rand  io.Reader
	// binding is the channel binding of the connection, nil if there is none.
	binding []byte
	state   loginState
	scram   scramClient
}

// NewLogin prepares a login as user; rand is for nonces.
func NewLogin(user string, creds Credentials, rand io.Reader) *Login {
	return &Login{user: user, creds: creds, rand: rand}
}

// Bind lets the login prove what TLS connection it is made over: data is of
// ServerBinding. It is called before Step.
func (l *Login) Bind(data []byte) { l.binding = data }

// Step takes the payload of an 'R' message (without type and length) and does
// not keep it. The reply, if any, goes to the server; done true means the server
// said AuthenticationOk. An error is always an *Error and closes the
// connection. Other messages ('E', 'N', 'v') are the caller's business.
//
// It reads the payload itself because pgproto3's AuthenticationSASL.Decode never
// returns on some malformed lists of mechanisms.
func (l *Login) Step(payload []byte) (reply pgproto3.FrontendMessage, done bool, err error) {
	reply, fault := l.step(payload)
	if fault != nil {
		l.state = loginFailed
		return nil, false, fault
	}
	return reply, l.state == loginDone, nil
}

func (l *Login) step(payload []byte) (pgproto3.FrontendMessage, *Error) {
	if len(payload) < 4 || len(payload) > MaxMessageSize {
		return nil, badServer("authentication request has an impossible length")
	}
	code, body := binary.BigEndian.Uint32(payload), payload[4:]
	switch {
	case code == requestOk && len(body) == 0 && (l.state == loginNew || l.state == loginAnswered || l.state == loginVerified):
		l.state = loginDone
		return nil, nil
	case code == requestSASLContinue && l.state == loginSASLFirst:
		return l.serverFirst(body)
	case code == requestSASLFinal && l.state == loginSASLFinal:
		return nil, l.serverFinal(body)
	case l.state == loginNew:
		return l.request(code, body)
	}
	return nil, badServer(fmt.Sprintf("authentication request %d came out of turn", code))
}

// request answers the server's first wish.
func (l *Login) request(code uint32, body []byte) (pgproto3.FrontendMessage, *Error) {
	switch code {
	case requestPassword:
		password, ok := l.creds.Password()
		if !ok {
			return nil, l.missing("password", ErrNoCredential)
		}
		l.state = loginAnswered
		return &pgproto3.PasswordMessage{Password: password}, nil
	case requestMD5:
		if len(body) != 4 {
			return nil, badServer("MD5 salt is not 4 bytes")
		}
		hash, ok := l.creds.md5Hash()
		if !ok {
			return nil, l.missing("md5", ErrNoCredential)
		}
		l.state = loginAnswered
		return &pgproto3.PasswordMessage{Password: md5Response(hash, [4]byte(body))}, nil
	case requestSASL:
		return l.startSASL(body)
	}
	return nil, &Error{
		Code:    CodeInvalidAuthorization,
		Message: fmt.Sprintf("server asked for authentication method %s, which howdah does not support", requestName(code)),
		Hint:    "Let the server's pg_hba.conf ask howdah's address for scram-sha-256.",
	}
}

func requestName(code uint32) string {
	switch code {
	case requestKerberosV5:
		return "Kerberos V5"
	case requestSCMCreds:
		return "SCM credentials"
	case requestGSS, requestGSSContinue:
		return "GSSAPI"
	case requestSSPI:
		return "SSPI"
	}
	return fmt.Sprintf("%d", code)
}

// missing is the refusal for want of a credential that serves method.
func (l *Login) missing(method string, cause error) *Error {
	e := &Error{
		Code:    CodeInvalidPassword,
		Message: fmt.Sprintf("server asked for method %s, howdah knows no password for user %q", method, l.user),
		Hint:    "Give the user a clear-text or AES secret in auth.passwd_file.",
		Err:     cause,
	}
	switch c := l.creds.data.open(); {
	case c == nil && method == mechanismMethod:
		e.Hint = "Use scram-sha-256 instead of trust in auth.hba with the user's verifier (auth.query), so that howdah learns the keys from the login; or give the user a clear-text or AES secret in auth.passwd_file."
	case c == nil:
	case c.scram != nil:
		e.Message = fmt.Sprintf("server asked for method %s, howdah knows only the SCRAM keys of user %q", method, l.user)
		e.Hint = "Let the server's pg_hba.conf ask howdah's address for scram-sha-256, or give the user a clear-text or AES secret in auth.passwd_file."
	default:
		e.Message = fmt.Sprintf("server asked for method %s, howdah knows only the MD5 hash of the password of user %q", method, l.user)
		e.Hint = "Set the user's password anew with password_encryption = scram-sha-256 and store that verifier, or give the user a clear-text or AES secret in auth.passwd_file."
	}
	return e
}

// badServer is a server that does not speak the protocol.
func badServer(detail string) *Error {
	return malformed("server broke the authentication protocol", detail)
}
