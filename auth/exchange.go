package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgproto3/v2"
)

// MaxMessageSize bounds the payload of a client's 'p' message and of a server's
// 'R' message, in bytes (PostgreSQL: PG_MAX_AUTH_TOKEN_LENGTH). Step refuses
// more; the caller should refuse already when it reads the header.
const MaxMessageSize = 65535

// maxSCRAMMessage bounds one SCRAM message inside (PostgreSQL: PG_MAX_SASL_MESSAGE_LENGTH).
const maxSCRAMMessage = 1024

// Authenticator makes the Exchanges of one process. It is safe for concurrent
// use if its random source is.
type Authenticator struct {
	rand io.Reader
	// saltKey makes the salts of mock exchanges and of secrets stored in clear
	// from the user's name: a stranger sees stable salts for both, as from
	// PostgreSQL, and cannot tell who exists.
	saltKey sealed[[keySize]byte]
}

// NewAuthenticator reads the key of its salts from rand (crypto/rand.Reader in
// production), which it keeps for nonces.
func NewAuthenticator(rand io.Reader) (*Authenticator, error) {
	var key [keySize]byte
	if _, err := io.ReadFull(rand, key[:]); err != nil {
		return nil, randomFailed(err)
	}
	return &Authenticator{rand: rand, saltKey: seal(&key)}, nil
}

// saltFor is the salt a user without a SCRAM verifier of his own is shown.
func (a *Authenticator) saltFor(user string) []byte {
	sum := hmac256(a.saltKey.open()[:], user)
	return sum[:scramSaltSize]
}

// nonce returns a printable nonce of scramNonceSize random bytes.
func nonce(rand io.Reader) (string, *Error) {
	var raw [scramNonceSize]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", randomFailed(err)
	}
	return base64.StdEncoding.EncodeToString(raw[:]), nil
}

// exchangeState is what an Exchange waits for.
type exchangeState uint8

const (
	exchangeNew         exchangeState = iota // Start
	exchangePassword                         // a clear-text password
	exchangeMD5                              // an answer to the MD5 challenge
	exchangeSASLInitial                      // SASLInitialResponse
	exchangeSASLFirst                        // client-first-message, as the initial response had none
	exchangeSASLFinal                        // client-final-message
	exchangeDone                             // nothing: the client is who it says
	exchangeFailed                           // nothing: refused
)

// Exchange authenticates one client:
//
//	                 +-> Password ----------------------+
//	                 |                                  v
//	New --(Start)----+-> MD5 -----------------------> Done | Failed
//	  |              |                                  ^
//	  |              +-> SASLInitial -> SASLFinal ------+
//	  |                       \-> SASLFirst -^
//	  +--(trust)--> Done    +--(reject)--> Failed
//
// It belongs to one goroutine.
type Exchange struct {
	auth   *Authenticator
	method Method
	user   string
	secret Secret
	// ask, if there is one, judges a password in the place of the secret.
	ask func(password string) error
	// doomed is why this exchange must end in failure although it goes on to look
	// like any other, so that a client cannot learn which users exist.
	doomed error

	// binding is the channel binding of the client's connection, nil if there is none.
	binding []byte

	state   exchangeState
	md5Salt [4]byte
	scram   scramServer
	creds   Credentials
}

// NewExchange prepares the check of user by the method of the HBA rule. known
// is false for a user nobody knows; secret is then ignored. As in PostgreSQL,
// method md5 is SCRAM for users whose secret is a verifier, and for users with no secret.
func (a *Authenticator) NewExchange(method Method, user string, secret Secret, known bool) *Exchange {
	x := &Exchange{auth: a, method: method, user: user, secret: secret}
	switch {
	case !known:
		x.secret, x.doomed = Secret{}, ErrUnknownUser
	case secret.Kind() == KindNone:
		x.doomed = ErrNoSecret
	}
	return x
}

// NewPasswordExchange asks user for a password in clear text, and ask whether it is right.
func NewPasswordExchange(user string, ask func(password string) error) *Exchange {
	return &Exchange{method: MethodPassword, user: user, ask: ask}
}

// Bind offers channel binding to the client: data is howdah's certificate as
// FrontTLS.Binding has it, nil without TLS. It is called before Start.
func (x *Exchange) Bind(data []byte) { x.binding = data }

// Start returns the first message for the client. done true without a message
// means the client needs to prove nothing. It is called once.
func (x *Exchange) Start() (msg pgproto3.BackendMessage, done bool, err error) {
	if x.state != exchangeNew {
		panic("auth: Exchange.Start called twice")
	}
	switch x.method {
	case MethodTrust:
		x.state, x.creds = exchangeDone, x.secret.Credentials()
		return nil, true, nil
	case MethodPassword:
		x.state = exchangePassword
		return &pgproto3.AuthenticationCleartextPassword{}, false, nil
	case MethodMD5:
		if k := x.secret.Kind(); k == KindMD5 || k == KindPlain {
			return x.startMD5()
		}
		return x.startSASL()
	case MethodSCRAM:
		return x.startSASL()
	}
	x.state = exchangeFailed
	return nil, false, &Error{Code: CodeInvalidAuthorization, Message: fmt.Sprintf("connection of user %q is rejected by a pg_hba rule", x.user)}
}

func (x *Exchange) startMD5() (pgproto3.BackendMessage, bool, error) {
	if _, err := io.ReadFull(x.auth.rand, x.md5Salt[:]); err != nil {
		x.state = exchangeFailed
		return nil, false, randomFailed(err)
	}
	x.state = exchangeMD5
	return &pgproto3.AuthenticationMD5Password{Salt: x.md5Salt}, false, nil
}

func (x *Exchange) startSASL() (pgproto3.BackendMessage, bool, error) {
	if x.secret.Kind() == KindMD5 {
		x.doomed = fmt.Errorf("%w: it is an MD5 hash", ErrSecretUnfit)
	}
	x.state = exchangeSASLInitial
	mechanisms := []string{mechanismSCRAM}
	if x.binding != nil {
		mechanisms = []string{mechanismPlus, mechanismSCRAM}
	}
	return &pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms}, false, nil
}

// Step takes the payload of the client's next 'p' message (without type and
// length) and does not keep it. A reply, if any, is sent before anything else;
// done true means the caller may then send AuthenticationOk. After an error
// (always an *Error) the connection is to be closed; a failed password is
// 28P01 with the same text whatever the cause. Any other message type in place of
// 'p' is the caller's 08P01.
func (x *Exchange) Step(payload []byte) (reply pgproto3.BackendMessage, done bool, err error) {
	reply, fault := x.step(payload)
	if fault != nil {
		x.state = exchangeFailed
		return nil, false, fault
	}
	return reply, x.state == exchangeDone, nil
}

func (x *Exchange) step(payload []byte) (pgproto3.BackendMessage, *Error) {
	if len(payload) > MaxMessageSize {
		return nil, malformed("authentication message is too long", fmt.Sprintf("At most %d bytes are accepted.", MaxMessageSize))
	}
	switch x.state {
	case exchangePassword:
		return nil, x.checkPassword(payload)
	case exchangeMD5:
		return nil, x.checkMD5(payload)
	case exchangeSASLInitial:
		return x.saslInitial(payload)
	case exchangeSASLFirst:
		return x.clientFirst(payload)
	case exchangeSASLFinal:
		return x.clientFinal(payload)
	}
	return nil, malformed("unexpected authentication message", "")
}

// Credentials returns what the login taught or the secret holds, for use
// towards servers. It is the zero value until done.
func (x *Exchange) Credentials() Credentials { return x.creds }

func (x *Exchange) failed(cause error) *Error { return PasswordFailed(x.user, cause) }

func (x *Exchange) succeed(c Credentials) {
	x.state, x.creds = exchangeDone, c
}

// passwordText returns the zero-terminated string that is the whole payload.
func (x *Exchange) passwordText(payload []byte) (string, *Error) {
	text, ok := bytes.CutSuffix(payload, []byte{0})
	if !ok || bytes.IndexByte(text, 0) >= 0 {
		return "", malformed("invalid password packet size", "")
	}
	if len(text) == 0 {
		return "", x.failed(errors.New("empty password returned by client"))
	}
	return string(text), nil
}

// checkPassword accepts whatever form the secret is stored in, and from then on
// knows the password itself.
func (x *Exchange) checkPassword(payload []byte) *Error {
	password, fault := x.passwordText(payload)
	if fault != nil {
		return fault
	}
	if x.ask != nil {
		if err := x.ask(password); err != nil {
			return x.failed(err)
		}
		x.succeed(PasswordCredentials(x.user, password))
		return nil
	}
	if x.doomed != nil {
		return x.failed(x.doomed)
	}
	ok, err := x.secret.data.open().matches(x.user, password)
	if err != nil {
		return &Error{Code: CodeInternalError, Message: "could not check the password", Err: err}
	}
	if !ok {
		return x.failed(ErrWrongPassword)
	}
	if x.secret.Kind() == KindPlain {
		x.succeed(x.secret.Credentials()) // shares its derived keys with other sessions
	} else {
		x.succeed(PasswordCredentials(x.user, password))
	}
	return nil
}

// matches compares a clear-text password with the secret, in constant time per kind.
func (d *secretData) matches(user, password string) (bool, error) {
	switch d.kind {
	case KindPlain:
		want, got := sha256.Sum256([]byte(d.plain)), sha256.Sum256([]byte(password))
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1, nil
	case KindMD5:
		return subtle.ConstantTimeCompare([]byte(d.md5), []byte(md5Hex(password, user))) == 1, nil
	}
	k, err := deriveKeys(password, d.verifier.salt, d.verifier.iterations)
	return hmac.Equal(k.serverKey[:], d.verifier.serverKey[:]), err
}

func (x *Exchange) checkMD5(payload []byte) *Error {
	answer, fault := x.passwordText(payload)
	if fault != nil {
		return fault
	}
	want := md5Response(x.secret.data.open().md5Hash(), x.md5Salt)
	if subtle.ConstantTimeCompare([]byte(want), []byte(answer)) != 1 {
		return x.failed(ErrWrongPassword)
	}
	x.succeed(x.secret.Credentials())
	return nil
}
