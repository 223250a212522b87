package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/howdah/howdah/configs"
)

// FrontTLS is what howdah's side of TLS with its clients needs. It is immutable.
type FrontTLS struct {
	Config *tls.Config
	// Binding is howdah's certificate as clients bind a SCRAM login to it; nil if its
	// kind of signature has no such binding.
	Binding []byte
}

// ALPN is the protocol's name in TLS, which a client that begins with TLS at once must
// ask for (PostgreSQL manual 55.2.11).
const ALPN = "postgresql"

// LoadFrontTLS reads the files that the settings name. It is nil if clients get no TLS.
// warnings are for the log.
func LoadFrontTLS(c *configs.ClientTLS) (_ *FrontTLS, warnings []string, err error) {
	if c.Mode == "off" || c.Cert == "" {
		return nil, nil, nil
	}
	cert, warnings, err := loadKeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, nil, err
	}
	f := &FrontTLS{Config: &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   configs.TLSVersion(c.MinVersion),
		MaxVersion:   configs.TLSVersion(c.MaxVersion),
		NextProtos:   []string{ALPN},
		// Clients of PostgreSQL do not resume, and a resumed session would not show
		// whether its certificate has been revoked.
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}, Binding: channelBinding(cert.Leaf)}
	for _, name := range c.Ciphers {
		if id, ok := configs.Cipher(name); ok { // Validate has refused others
			f.Config.CipherSuites = append(f.Config.CipherSuites, id)
		}
	}
	for _, name := range c.Curves {
		if id, ok := configs.Curve(name); ok {
			f.Config.CurvePreferences = append(f.Config.CurvePreferences, id)
		}
	}
	if c.CA == "" {
		return f, warnings, nil
	}
	if f.Config.ClientCAs, err = loadAuthorities(c.CA); err != nil {
		return nil, nil, err
	}
	f.Config.ClientAuth = tls.VerifyClientCertIfGiven
	if c.CRL != "" {
		revoked, err := loadRevocations(c.CRL)
		if err != nil {
			return nil, nil, err
		}
		f.Config.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return nil
			}
			return revoked.check(s.VerifiedChains, time.Now())
		}
	}
	return f, warnings, nil
}

// BackendTLS is what howdah's side of TLS with a server needs. It is immutable. A nil
// BackendTLS is for a server that is not to be asked for it.
type BackendTLS struct {
	Config *tls.Config
	// Required is whether a connection without TLS must not be made.
	Required bool
}

// LoadBackendTLS reads the files that the settings of a backend name. host is where it is.
func LoadBackendTLS(c configs.BackendTLS, host string) (*BackendTLS, error) {
	if c.Mode == "" || c.Mode == "disable" || strings.HasPrefix(host, "/") {
		return nil, nil
	}
	b := &BackendTLS{Required: c.Mode != "prefer", Config: &tls.Config{
		MinVersion:                  configs.TLSVersion(c.MinVersion),
		NextProtos:                  []string{ALPN},
		DynamicRecordSizingDisabled: true,
		InsecureSkipVerify:          true, // verifier.verify does it, by the mode
	}}
	if _, err := netip.ParseAddr(host); err != nil {
		b.Config.ServerName = host
	}
	if c.Cert != "" {
		cert, _, err := loadKeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		// Given to whoever asks, as by libpq, not only if one of its authorities is named.
		b.Config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	v := certVerifier{full: c.Mode == "verify-full", host: host}
	if c.CA == "" && !v.full {
		return b, nil
	}
	var err error
	if c.CA != "" {
		if v.roots, err = loadAuthorities(c.CA); err != nil {
			return nil, err
		}
	}
	if c.CRL != "" {
		if v.revoked, err = loadRevocations(c.CRL); err != nil {
			return nil, err
		}
	}
	b.Config.VerifyConnection = v.verify
	return b, nil
}

// certVerifier judges a server's certificate.
type certVerifier struct {
	roots   *x509.CertPool // nil: the system's
	revoked *revocations   // nil: none are known
	full    bool           // the certificate must name host
	host    string
}

func (v certVerifier) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	leaf := s.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: v.roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	chains, err := leaf.Verify(options)
	if err != nil {
		return fmt.Errorf("verify the server's certificate: %w", err)
	}
	if v.revoked != nil {
		if err := v.revoked.check(chains, time.Now()); err != nil {
			return err
		}
	}
	if v.full && !names(leaf, v.host) {
		return fmt.Errorf("the server's certificate for %q does not name the host %q", leaf.Subject.String(), v.host)
	}
	return nil
}

// names reports whether a certificate is for the host. As in libpq, the common name
// counts if there is no other name.
func names(cert *x509.Certificate, host string) bool {
	if len(cert.DNSNames) > 0 || len(cert.IPAddresses) > 0 {
		return cert.VerifyHostname(host) == nil
	}
	name := strings.ToLower(strings.TrimSuffix(cert.Subject.CommonName, "."))
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if domain, wild := strings.CutPrefix(name, "*."); wild {
		_, rest, ok := strings.Cut(host, ".")
		return ok && rest == domain && strings.Contains(domain, ".")
	}
	return name != "" && name == host
}

// ServerBinding is the channel binding of a connection to a server, nil if there is none.
func ServerBinding(s *tls.ConnectionState) []byte {
	if s == nil || len(s.PeerCertificates) == 0 {
		return nil
	}
	return channelBinding(s.PeerCertificates[0])
}

// LoadLDAPTLS is how to speak TLS with LDAP servers, whose certificates are of authorities
// in the file or directory ca; "" are the system's.
func LoadLDAPTLS(ca string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return config, nil
	}
	var err error
	config.RootCAs, err = loadAuthorities(ca)
	return config, err
}
