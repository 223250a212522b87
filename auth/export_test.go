package auth

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"
)

// Proof gives the tests the two results of a SCRAM exchange as
// they go over the wire, for a given AuthMessage (RFC 5802 section 3).
func Proof(password string, salt []byte, iterations int, authMessage string) (proof, signature string, err error) {
	k, err := deriveKeys(password, salt, iterations)
	if err != nil {
		return "", "", err
	}
	p := xorKeys(k.clientKey, hmac256(k.storedKey[:], authMessage))
	s := hmac256(k.serverKey[:], authMessage)
	return base64.StdEncoding.EncodeToString(p[:]), base64.StdEncoding.EncodeToString(s[:]), nil
}

var SASLPrep = saslPrep

// Derivations returns how many key sets a plain secret keeps.
func (s Secret) Derivations() int { return len(s.data.open().derived.entries) }

const MaxDerived = maxDerived

// VerifierText is what PostgreSQL would store for the password.
func VerifierText(password string, salt []byte, iterations int) (string, error) {
	k, err := deriveKeys(password, salt, iterations)
	e := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", mechanismSCRAM, iterations, e(salt), e(k.storedKey[:]), e(k.serverKey[:])), err
}

// Names and CheckRevoked are parts of what TLS connections are held against.
var Names = names

func CheckRevoked(path string, chains [][]*x509.Certificate) error {
	r, err := loadRevocations(path)
	if err != nil {
		return err
	}
	return r.check(chains, time.Now())
}

// DistinguishedName is the name that clientname=DN compares.
var DistinguishedName = distinguishedName
