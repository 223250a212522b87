package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgproto3/v2"
)

// scramServer is the server's half of RFC 5802 in one Exchange.
type scramServer struct {
	gs2Header       string // which the final message must repeat, with the binding
	plus            bool   // the client chose the mechanism with channel binding
	clientFirstBare string
	serverFirst     string
	nonce           string // the client's and ours
	verifier        sealed[verifier]
}

// saslInitial reads SASLInitialResponse: mechanism, zero, Int32 length or -1, data.
func (x *Exchange) saslInitial(payload []byte) (pgproto3.BackendMessage, *Error) {
	mechanism, rest, ok := bytes.Cut(payload, []byte{0})
	if !ok || len(rest) < 4 {
		return nil, malformed("invalid SASLInitialResponse message", "")
	}
	x.scram.plus = x.binding != nil && string(mechanism) == mechanismPlus
	if !x.scram.plus && string(mechanism) != mechanismSCRAM {
		return nil, malformed("client selected an invalid SASL authentication mechanism", "")
	}
	size, data := int32(binary.BigEndian.Uint32(rest)), rest[4:]
	if size == -1 && len(data) == 0 {
		x.state = exchangeSASLFirst
		return &pgproto3.AuthenticationSASLContinue{}, nil
	}
	if size < 0 || int(size) != len(data) {
		return nil, malformed("invalid SASLInitialResponse message", "")
	}
	return x.clientFirst(data)
}

// scramText checks what is common to both client messages.
func scramText(data []byte) (string, *Error) {
	switch {
	case len(data) == 0:
		return "", malformedSCRAM("The message is empty.")
	case len(data) > maxSCRAMMessage:
		return "", malformedSCRAM(fmt.Sprintf("The message is longer than %d bytes.", maxSCRAMMessage))
	case bytes.IndexByte(data, 0) >= 0:
		return "", malformedSCRAM("Message length does not match input length.")
	}
	return string(data), nil
}

// clientFirst answers client-first-message with server-first-message.
func (x *Exchange) clientFirst(data []byte) (pgproto3.BackendMessage, *Error) {
	text, fault := scramText(data)
	if fault != nil {
		return nil, fault
	}
	bare, fault := x.scram.takeHeader(text, x.binding)
	if fault != nil {
		return nil, fault
	}
	clientNonce, fault := parseClientFirst(bare)
	if fault != nil {
		return nil, fault
	}
	ours, fault := nonce(x.auth.rand)
	if fault != nil {
		return nil, fault
	}
	v, fault := x.verifier()
	if fault != nil {
		return nil, fault
	}
	x.scram.verifier = seal(&v)
	x.scram.clientFirstBare = bare
	x.scram.nonce = clientNonce + ours
	x.scram.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", x.scram.nonce,
		base64.StdEncoding.EncodeToString(v.salt), v.iterations)
	x.state = exchangeSASLFinal
	return &pgproto3.AuthenticationSASLContinue{Data: []byte(x.scram.serverFirst)}, nil
}

// verifier returns what to check against; a doomed exchange gets one that looks
// like a real user's and matches nobody.
func (x *Exchange) verifier() (verifier, *Error) {
	salt := x.auth.saltFor(x.user)
	if x.doomed != nil {
		return verifier{salt: salt, iterations: scramIterations}, nil
	}
	v, err := x.secret.data.open().verifierFor(salt)
	if err != nil {
		return verifier{}, &Error{Code: CodeInternalError, Message: "could not derive the SCRAM verifier", Err: err}
	}
	return v, nil
}

// takeHeader splits off and judges the gs2-header (RFC 5802 section 7).
func (s *scramServer) takeHeader(text string, binding []byte) (bare string, _ *Error) {
	flag, rest, ok := strings.Cut(text, ",")
	switch {
	case !ok:
		return "", malformedSCRAM("Comma expected after the channel-binding flag.")
	case s.plus && strings.HasPrefix(flag, "p=") && flag+",," != bindingHeader:
		return "", malformed("unsupported SCRAM channel-binding type", "")
	case s.plus && flag+",," == bindingHeader:
	case s.plus:
		return "", malformedSCRAM("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.")
	case flag == "y" && binding != nil:
		// Somebody between took the offer away.
		return "", &Error{Code: CodeInvalidAuthorization, Message: "SCRAM channel binding negotiation error",
			Detail: "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding."}
	case strings.HasPrefix(flag, "p"):
		return "", malformedSCRAM("The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.")
	case flag != "n" && flag != "y":
		return "", malformedSCRAM("Unexpected channel-binding flag.")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return "", malformedSCRAM("Comma expected after the authorization identity.")
	}
	if authzid != "" {
		return "", &Error{Code: CodeFeatureNotSupported, Message: "client uses authorization identity, but it is not supported"}
	}
	s.gs2Header = flag + ",,"
	return bare, nil
}

// parseClientFirst reads client-first-message-bare: n=user,r=nonce[,extensions].
// The name is ignored, as by PostgreSQL: the startup packet's counts.
func parseClientFirst(bare string) (clientNonce string, _ *Error) {
	if strings.HasPrefix(bare, "m=") {
		return "", &Error{Code: CodeFeatureNotSupported, Message: "client requires an unsupported SCRAM extension"}
	}
	a := attributes{bare}
	if _, fault := a.want('n'); fault != nil {
		return "", fault
	}
	clientNonce, fault := a.want('r')
	if fault != nil {
		return "", fault
	}
	if !printable(clientNonce) {
		return "", malformedSCRAM("Non-printable characters in SCRAM nonce.")
	}
	for a.rest != "" {
		if _, _, fault := a.any(); fault != nil {
			return "", fault
		}
	}
	return clientNonce, nil
}

// clientFinal checks the proof and answers with the server's signature.
func (x *Exchange) clientFinal(data []byte) (pgproto3.BackendMessage, *Error) {
	text, fault := scramText(data)
	if fault != nil {
		return nil, fault
	}
	withoutProof, proof, fault := x.scram.parseClientFinal(text, x.binding)
	if fault != nil {
		return nil, fault
	}
	v := x.scram.verifier.open()
	message := x.scram.clientFirstBare + "," + x.scram.serverFirst + "," + withoutProof
	clientKey := xorKeys(proof, hmac256(v.storedKey[:], message))
	storedKey := sha256.Sum256(clientKey[:])
	ok := hmac.Equal(storedKey[:], v.storedKey[:])
	if x.doomed != nil { // judged only here, after the same work
		return nil, x.failed(x.doomed)
	}
	if !ok {
		return nil, x.failed(ErrWrongPassword)
	}
	x.succeed(x.learned(clientKey))
	signature := hmac256(v.serverKey[:], message)
	return &pgproto3.AuthenticationSASLFinal{Data: []byte("v=" + base64.StdEncoding.EncodeToString(signature[:]))}, nil
}

// learned prefers the clear-text password, which works everywhere, to the keys.
func (x *Exchange) learned(clientKey [keySize]byte) Credentials {
	if x.secret.Kind() == KindPlain {
		return x.secret.Credentials()
	}
	v := x.scram.verifier.open()
	return Credentials{seal(&credentials{scram: &learnedKeys{
		salt: v.salt, iterations: v.iterations, clientKey: clientKey, serverKey: v.serverKey,
	}})}
}

// parseClientFinal reads c=binding,r=nonce[,extensions],p=proof.
func (s *scramServer) parseClientFinal(text string, data []byte) (withoutProof string, proof [keySize]byte, _ *Error) {
	a := attributes{text}
	binding, fault := a.want('c')
	if fault != nil {
		return "", proof, fault
	}
	if s.plus {
		want := base64.StdEncoding.EncodeToString(append([]byte(s.gs2Header), data...))
		if subtle.ConstantTimeCompare([]byte(binding), []byte(want)) != 1 {
			return "", proof, &Error{Code: CodeInvalidAuthorization, Message: "SCRAM channel binding check failed"}
		}
	} else if binding != base64.StdEncoding.EncodeToString([]byte(s.gs2Header)) {
		return "", proof, malformed("unexpected SCRAM channel-binding attribute in client-final-message", "")
	}
	clientNonce, fault := a.want('r')
	if fault != nil {
		return "", proof, fault
	}
	if !hmac.Equal([]byte(clientNonce), []byte(s.nonce)) {
		return "", proof, malformed("invalid SCRAM response", "Nonce does not match.")
	}
	for {
		start := len(text) - len(a.rest)
		name, value, fault := a.any()
		if fault != nil {
			return "", proof, fault
		}
		if name != 'p' {
			continue
		}
		if a.rest != "" {
			return "", proof, malformedSCRAM("Garbage found at the end of client-final-message.")
		}
		if !decodeKey(&proof, value) {
			return "", proof, malformedSCRAM("Malformed proof in client-final-message.")
		}
		return text[:start-1], proof, nil
	}
}
