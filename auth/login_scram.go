package auth

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jackc/pgproto3/v2"
)

const (
	// mechanismMethod is SCRAM's name in pg_hba.conf, for messages to people.
	mechanismMethod = "scram-sha-256"
	// maxServerMessage bounds what a server may send in one SCRAM message, and so
	// its nonce and salt. PostgreSQL's own are below 150 bytes.
	maxServerMessage = 2048
	// gs2None says that this client does no channel binding, gs2Unused that it would, but
	// the server does not seem to.
	gs2None   = "n,,"
	gs2Unused = "y,,"
)

// scramClient is the client's half of RFC 5802 in one Login.
type scramClient struct {
	nonce           string
	gs2Header       string
	clientFirstBare string
	serverSignature [keySize]byte // what the server must answer
}

// startSASL picks the mechanism and sends client-first-message. The user name
// in it is empty, as libpq sends it: the server takes the startup packet's.
func (l *Login) startSASL(list []byte) (pgproto3.FrontendMessage, *Error) {
	mechanism, header := mechanismSCRAM, gs2None
	switch {
	case l.binding != nil && offers(list, mechanismPlus):
		mechanism, header = mechanismPlus, bindingHeader
	case l.binding != nil:
		header = gs2Unused
	}
	if !offers(list, mechanism) {
		return nil, &Error{
			Code:    CodeInvalidAuthorization,
			Message: "server offers no SASL mechanism that howdah supports",
			Hint:    "Let the server's pg_hba.conf ask howdah's address for scram-sha-256.",
		}
	}
	if c := l.creds.data.open(); c == nil || c.scram == nil && c.secret.kind != KindPlain {
		return nil, l.missing(mechanismMethod, ErrNoCredential)
	}
	own, fault := nonce(l.rand)
	if fault != nil {
		return nil, fault
	}
	l.scram.nonce, l.scram.gs2Header = own, header
	l.scram.clientFirstBare = "n=,r=" + own
	l.state = loginSASLFirst
	return &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(header + l.scram.clientFirstBare)}, nil
}

// offers looks for a mechanism in a list of zero-terminated names.
func offers(list []byte, mechanism string) bool {
	for len(list) > 0 {
		name, rest, _ := bytes.Cut(list, []byte{0})
		if len(name) == 0 {
			return false
		}
		if string(name) == mechanism {
			return true
		}
		list = rest
	}
	return false
}

// serverFirst answers server-first-message with the proof.
func (l *Login) serverFirst(body []byte) (pgproto3.FrontendMessage, *Error) {
	if len(body) > maxServerMessage {
		return nil, badServer("server-first-message is too long")
	}
	fullNonce, salt, iterations, fault := parseServerFirst(string(body))
	if fault != nil {
		return nil, fault
	}
	if !strings.HasPrefix(fullNonce, l.scram.nonce) || len(fullNonce) == len(l.scram.nonce) {
		return nil, badServer("the server's nonce does not continue ours")
	}
	k, fault := l.keys(salt, iterations)
	if fault != nil {
		return nil, fault
	}
	binding := []byte(l.scram.gs2Header)
	if l.scram.gs2Header == bindingHeader {
		binding = append(binding, l.binding...)
	}
	withoutProof := "c=" + base64.StdEncoding.EncodeToString(binding) + ",r=" + fullNonce
	message := l.scram.clientFirstBare + "," + string(body) + "," + withoutProof
	proof := xorKeys(k.clientKey, hmac256(k.storedKey[:], message))
	l.scram.serverSignature = hmac256(k.serverKey[:], message)
	l.state = loginSASLFinal
	return &pgproto3.SASLResponse{Data: []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof[:]))}, nil
}

// keys takes the learned keys if the server's are the same, or derives them.
func (l *Login) keys(salt []byte, iterations int) (scramKeys, *Error) {
	c := l.creds.data.open()
	if learned := c.scram; learned != nil {
		if learned.iterations != iterations || !bytes.Equal(learned.salt, salt) {
			e := l.missing(mechanismMethod, ErrOtherSalt)
			e.Message = fmt.Sprintf("server's SCRAM verifier of user %q is not the one howdah learned the keys for", l.user)
			e.Hint = "If the password was changed, connect again. Else the verifier in auth.passwd_file differs from the server's: copy pg_authid.rolpassword, use auth.query, or give the user a clear-text or AES secret."
			return scramKeys{}, e
		}
		return scramKeys{clientKey: learned.clientKey, storedKey: sha256Of(learned.clientKey), serverKey: learned.serverKey}, nil
	}
	k, err := c.secret.derived.get(c.secret.plain, salt, iterations)
	if err != nil {
		return scramKeys{}, &Error{Code: CodeInternalError, Message: "could not derive SCRAM keys", Err: err}
	}
	return k, nil
}

// parseServerFirst reads r=nonce,s=salt,i=iterations[,extensions].
func parseServerFirst(text string) (fullNonce string, salt []byte, iterations int, _ *Error) {
	a := attributes{text}
	fullNonce, f1 := a.want('r')
	salt64, f2 := a.want('s')
	count, f3 := a.want('i')
	if f1 != nil || f2 != nil || f3 != nil || !printable(fullNonce) {
		return "", nil, 0, badServer("malformed server-first-message")
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(salt64)
	if err != nil || len(salt) == 0 {
		return "", nil, 0, badServer("malformed salt in server-first-message")
	}
	iterations, err = parseIterations(count)
	if err != nil {
		return "", nil, 0, badServer("in server-first-message " + err.Error())
	}
	return fullNonce, salt, iterations, nil
}

// serverFinal lets the server prove that it knows the password's keys.
func (l *Login) serverFinal(body []byte) *Error {
	if len(body) > maxServerMessage {
		return badServer("server-final-message is too long")
	}
	a := attributes{string(body)}
	if strings.HasPrefix(a.rest, "e=") {
		return PasswordFailed(l.user, fmt.Errorf("server refused the SCRAM exchange: %w", ErrWrongPassword))
	}
	value, fault := a.want('v')
	if fault != nil {
		return badServer("malformed server-final-message")
	}
	var signature [keySize]byte
	if !decodeKey(&signature, value) || !hmac.Equal(signature[:], l.scram.serverSignature[:]) {
		return &Error{Code: CodeInvalidAuthorization, Message: fmt.Sprintf("server did not prove that it knows the password of user %q", l.user), Err: ErrServerUnproven}
	}
	l.state = loginVerified
	return nil
}
