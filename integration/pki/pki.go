// Package pki makes certificate authorities, certificates and revocation lists for
// tests, as files that howdah, the servers and their clients read.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Authority signs certificates. Its own certificate is in File.
type Authority struct {
	File string

	t      testing.TB
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	serial int64
}

// Pair is a certificate and its key as files that only their owner may read.
type Pair struct {
	Cert, Key string
	Leaf      *x509.Certificate
}

// New makes an authority in a directory of its own, which the servers' account may enter.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	dir, err := os.MkdirTemp("", "howdah-pki-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	a := &Authority{t: t, dir: dir, File: filepath.Join(dir, "ca.crt"), serial: 1}
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := a.template(pkix.Name{CommonName: name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	must(t, os.WriteFile(a.File, encode("CERTIFICATE", der), 0o644))
	return a
}

func (a *Authority) template(subject pkix.Name) *x509.Certificate {
	a.serial++
	return &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
}

// Issue makes a certificate for subject, good for servers and clients. hosts are names and
// IP addresses that it is for.
func (a *Authority) Issue(file string, subject pkix.Name, hosts ...string) Pair {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	return a.IssueFor(file, key, subject, hosts...)
}

// IssueRSA is Issue with an RSA key.
func (a *Authority) IssueRSA(file string, subject pkix.Name, hosts ...string) Pair {
	a.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(a.t, err)
	return a.IssueFor(file, key, subject, hosts...)
}

// IssueFor is Issue with the given key.
func (a *Authority) IssueFor(file string, key crypto.Signer, subject pkix.Name, hosts ...string) Pair {
	a.t.Helper()
	template := a.template(subject)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	p := Pair{Cert: filepath.Join(a.dir, file+".crt"), Key: filepath.Join(a.dir, file+".key"), Leaf: leaf}
	must(a.t, os.WriteFile(p.Cert, encode("CERTIFICATE", der), 0o644))
	must(a.t, os.WriteFile(p.Key, encode("PRIVATE KEY", private), 0o600))
	return p
}

// ForServer gives the key to the account that the servers run as; root may still read it.
func (p Pair) ForServer(t testing.TB) Pair {
	t.Helper()
	if os.Geteuid() != 0 {
		return p
	}
	u, err := user.Lookup("postgres")
	must(t, err)
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	must(t, os.Chown(p.Key, uid, gid))
	return p
}

// Revoke writes a revocation list with the certificates to a file and returns its path.
func (a *Authority) Revoke(file string, certs ...*x509.Certificate) string {
	a.t.Helper()
	return a.RevokeUntil(file, time.Hour, certs...)
}

// Certificate is the authority's own.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// RevokeUntil is Revoke with a list that is valid for so long from now.
func (a *Authority) RevokeUntil(file string, valid time.Duration, certs ...*x509.Certificate) string {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(valid)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	must(a.t, err)
	path := filepath.Join(a.dir, file)
	must(a.t, os.WriteFile(path, encode("X509 CRL", der), 0o644))
	return path
}

func encode(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
