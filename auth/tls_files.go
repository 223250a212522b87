package auth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	maxTLSFile  = 16 << 20 // bytes; the largest are lists of what was revoked
	maxTLSFiles = 1000     // in a directory
)

// loadKeyPair reads a certificate, with its chain, and its key.
func loadKeyPair(certFile, keyFile string) (cert tls.Certificate, warnings []string, err error) {
	certText, err := readTLSFile(certFile)
	if err != nil {
		return cert, nil, fmt.Errorf("read certificate: %w", err)
	}
	keyText, warnings, err := readSecretFile(keyFile)
	if err != nil {
		return cert, nil, fmt.Errorf("read key: %w", err)
	}
	if isEncrypted(keyText) {
		return cert, nil, fmt.Errorf("read key: %s has a passphrase; store it without one (openssl pkey) and chmod 0600 it", keyFile)
	}
	cert, err = tls.X509KeyPair(certText, keyText)
	if err != nil { // its text does not show the key
		return cert, nil, fmt.Errorf("read certificate %s and key %s: %w", certFile, keyFile, err)
	}
	if time.Now().After(cert.Leaf.NotAfter) {
		warnings = append(warnings, fmt.Sprintf("the certificate %s has expired on %s", certFile, cert.Leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
	return cert, warnings, nil
}

// isEncrypted reports whether the first block is a key that a passphrase protects.
func isEncrypted(text []byte) bool {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return true
		}
		text = rest
	}
}

// loadAuthorities reads the certificates of a file, or of all files of a directory.
func loadAuthorities(path string) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	err := eachBlock(path, "CERTIFICATE", func(der []byte) error {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		pool.AddCert(cert)
		found++
		return nil
	})
	if err == nil && found == 0 {
		err = errors.New("has no certificate in PEM form")
	}
	if err != nil {
		return nil, fmt.Errorf("read authorities: %s: %w", path, err)
	}
	return pool, nil
}

// revocations are what authorities took back.
type revocations struct{ lists []*x509.RevocationList }

func loadRevocations(path string) (*revocations, error) {
	r := &revocations{}
	err := eachBlock(path, "X509 CRL", func(der []byte) error {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return err
		}
		r.lists = append(r.lists, list)
		return nil
	})
	if err == nil && len(r.lists) == 0 {
		err = errors.New("has no revocation list in PEM form")
	}
	if err != nil {
		return nil, fmt.Errorf("read revocation lists: %s: %w", path, err)
	}
	return r, nil
}

// check wants one chain of which no certificate is revoked. As OpenSSL with
// X509_V_FLAG_CRL_CHECK_ALL it wants a valid list of every authority in it.
func (r *revocations) check(chains [][]*x509.Certificate, now time.Time) error {
	err := errors.New("check for revoked certificates: there is no chain to an authority")
	for _, chain := range chains {
		if err = r.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

func (r *revocations) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i := 0; i+1 < len(chain); i++ {
		cert, issuer := chain[i], chain[i+1]
		known := false
		for _, list := range r.lists {
			if !slices.Equal(list.RawIssuer, issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil {
				continue
			}
			if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
				continue
			}
			known = true
			for _, entry := range list.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
					return fmt.Errorf("the certificate for %q is revoked", cert.Subject.String())
				}
			}
		}
		if !known {
			return fmt.Errorf("no valid revocation list of %q is known", issuer.Subject.String())
		}
	}
	return nil
}

// eachBlock calls f for the PEM blocks of a type in a file, or in all files of a directory.
func eachBlock(path, typ string, f func(der []byte) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	files := []string{path}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		if len(entries) > maxTLSFiles {
			return fmt.Errorf("has more than %d files", maxTLSFiles)
		}
		files = files[:0]
		for _, e := range entries {
			name := filepath.Join(path, e.Name())
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				files = append(files, name)
			}
		}
	}
	for _, name := range files {
		text, err := readTLSFile(name)
		if err != nil {
			return err
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != typ {
				continue
			}
			if err := f(block.Bytes); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
		}
	}
	return nil
}

func readTLSFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readBounded(f, maxTLSFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// channelBinding is tls-server-end-point (RFC 5929 section 4): the hash of the server's
// certificate by the algorithm of its signature, where MD5 and SHA-1 count as
// SHA-256. It is nil for signatures without one hash, as Ed25519.
func channelBinding(cert *x509.Certificate) []byte {
	if cert == nil {
		return nil
	}
	hash := crypto.SHA256
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil
	}
	h := hash.New()
	h.Write(cert.Raw)
	return h.Sum(nil)
}
