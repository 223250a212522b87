package configs

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// TLS is the encryption on both sides. Pgpool-II has one switch, ssl, for both.
type TLS struct {
	Client  ClientTLS  `yaml:"client"`
	Backend BackendTLS `yaml:"backend"`
}

// ClientTLS is the encryption towards clients. Files are PEM.
type ClientTLS struct {
	// Mode is off, allow (for clients that ask for it, if there is a certificate) or
	// require (of all but those of Unix sockets).
	Mode string `yaml:"mode" enum:"off,allow,require"`
	// Cert is howdah's certificate, the chain to its authority after it; Key is its
	// key. Pgpool-II: ssl_cert, ssl_key.
	Cert string `yaml:"cert" path:"yes"`
	Key  string `yaml:"key" path:"yes"`
	// CA are the authorities of client certificates, a file or a directory; empty asks
	// for none. Pgpool-II: ssl_ca_cert, ssl_ca_cert_dir.
	CA string `yaml:"ca" path:"yes"`
	// CRL are what these authorities revoked, a file or a directory. Pgpool-II: ssl_crl_file.
	CRL string `yaml:"crl" path:"yes"`
	// MinVersion and MaxVersion bound the protocol; empty is no bound.
	// PostgreSQL: ssl_min_protocol_version, ssl_max_protocol_version.
	MinVersion string `yaml:"min_version" enum:"TLSv1.2,TLSv1.3"`
	MaxVersion string `yaml:"max_version" enum:",TLSv1.2,TLSv1.3"`
	// Ciphers are IANA names of suites of TLS 1.2; none is Go's choice. Pgpool-II:
	// ssl_ciphers, which has OpenSSL's names.
	Ciphers []string `yaml:"ciphers"`
	// Curves are groups of the key exchange; none is Go's choice. Pgpool-II: ssl_ecdh_curve.
	Curves []string `yaml:"curves"`
}

// BackendTLS is the encryption towards one server or all. Files are PEM.
type BackendTLS struct {
	// Mode is as libpq's sslmode, but for allow: disable, prefer, require, verify-ca or verify-full.
	Mode string `yaml:"mode"`
	// CA are the authorities of servers' certificates, a file or a directory. libpq: sslrootcert.
	CA string `yaml:"ca" path:"yes"`
	// CRL are what these authorities revoked, a file or a directory. libpq: sslcrl, sslcrldir.
	CRL string `yaml:"crl" path:"yes"`
	// Cert and Key are what howdah shows to servers that ask. libpq: sslcert, sslkey.
	Cert string `yaml:"cert" path:"yes"`
	Key  string `yaml:"key" path:"yes"`
	// MinVersion is the oldest protocol. libpq: ssl_min_protocol_version.
	MinVersion string `yaml:"min_version"`
}

// backendModes are the values of BackendTLS.Mode.
var backendModes = []string{"disable", "prefer", "require", "verify-ca", "verify-full"}

var tlsVersions = map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

// TLSVersion is crypto/tls's number of a version, 0 of the empty text.
func TLSVersion(name string) uint16 { return tlsVersions[name] }

// Or returns t with general's settings where t has none. A certificate and its key come
// from the same of the two.
func (t BackendTLS) Or(general BackendTLS) BackendTLS {
	for _, f := range []struct{ own, general *string }{
		{&t.Mode, &general.Mode}, {&t.CA, &general.CA}, {&t.CRL, &general.CRL}, {&t.MinVersion, &general.MinVersion},
	} {
		if *f.own == "" {
			*f.own = *f.general
		}
	}
	if t.Cert == "" && t.Key == "" {
		t.Cert, t.Key = general.Cert, general.Key
	}
	return t
}

// BackendsInEffect are the backends, each with what it takes over from tls.backend.
func (c *Config) BackendsInEffect() []Backend {
	all := append([]Backend(nil), c.Backends...)
	for i := range all {
		all[i].TLS = all[i].TLS.Or(c.TLS.Backend)
	}
	return all
}

// Cipher returns the number of a suite for TLS 1.2 by its IANA name.
func Cipher(name string) (id uint16, ok bool) {
	for _, s := range tls.CipherSuites() {
		if s.Name == name && s.SupportedVersions[0] < tls.VersionTLS13 {
			return s.ID, true
		}
	}
	return 0, false
}

// curves are Go's, by OpenSSL's names as well.
var curves = map[string]tls.CurveID{
	"X25519MLKEM768": tls.X25519MLKEM768, "X25519": tls.X25519,
	"prime256v1": tls.CurveP256, "P-256": tls.CurveP256, "secp384r1": tls.CurveP384, "P-384": tls.CurveP384,
	"secp521r1": tls.CurveP521, "P-521": tls.CurveP521,
}

// Curve returns a group of the key exchange by its name.
func Curve(name string) (id tls.CurveID, ok bool) {
	id, ok = curves[name]
	return id, ok
}

func validateTLS(c *Config, list *faultList) {
	validateClientTLS(&c.TLS.Client, list)
	if !list.isBad("tls.backend.mode") {
		checkEnum(list, "tls.backend.mode", c.TLS.Backend.Mode, backendModes)
	}
	validateBackendTLS("tls.backend", c.TLS.Backend, c.TLS.Backend, list)
	for i := range c.Backends {
		own, key := c.Backends[i].TLS, fmt.Sprintf("backends[%d].tls", i)
		if own == (BackendTLS{}) {
			continue
		}
		if mode := joinKey(key, "mode"); own.Mode != "" && !list.isBad(mode) {
			checkEnum(list, mode, own.Mode, backendModes)
		}
		validateBackendTLS(key, own, own.Or(c.TLS.Backend), list)
	}
}

func validateClientTLS(t *ClientTLS, list *faultList) {
	checkPair(list, "tls.client", t.Cert, t.Key)
	if t.Mode == "require" && t.Cert == "" && !list.isBad("tls.client.cert") {
		list.addAt("tls.client.cert", "is missing", "mode: require needs a certificate and its key")
	}
	if t.CA != "" && t.Cert == "" && !list.isBad("tls.client.cert") {
		list.addAt("tls.client.ca", "is given without cert", "clients show certificates over TLS only, give howdah's own too")
	}
	if t.CRL != "" && t.CA == "" && !list.isBad("tls.client.ca") {
		list.addAt("tls.client.crl", "is given without ca", "it is about certificates of ca's authorities, give that or remove this")
	}
	if v := TLSVersion(t.MaxVersion); v != 0 && v < TLSVersion(t.MinVersion) {
		list.addAt("tls.client.max_version", "is older than min_version", "raise it, or lower min_version")
	}
	for i, name := range t.Ciphers {
		if _, ok := Cipher(name); !ok {
			list.addAt(fmt.Sprintf("tls.client.ciphers[%d]", i), shorten(name)+" is not a known suite of TLS 1.2",
				"write an IANA name, as in TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
		}
	}
	for i, name := range t.Curves {
		if _, ok := Curve(name); !ok {
			list.addAt(fmt.Sprintf("tls.client.curves[%d]", i), shorten(name)+" is not a known curve",
				"write X25519MLKEM768, X25519, prime256v1, secp384r1 or secp521r1")
		}
	}
}

// validateBackendTLS looks at what is said under key, own, and what is in effect there.
func validateBackendTLS(key string, own, all BackendTLS, list *faultList) {
	checkPair(list, key, own.Cert, own.Key)
	if own.MinVersion != "" && TLSVersion(own.MinVersion) == 0 {
		checkEnum(list, joinKey(key, "min_version"), own.MinVersion, []string{"TLSv1.2", "TLSv1.3"})
	}
	if all.Mode == "verify-ca" && all.CA == "" && !list.isBad(joinKey(key, "ca")) {
		list.addAt(joinKey(key, "ca"), "is missing", "mode: verify-ca needs the authorities to believe")
	}
	if own.CRL != "" && all.CA == "" && !list.isBad(joinKey(key, "ca")) {
		list.addAt(joinKey(key, "crl"), "is given without ca", "it is about certificates of ca's authorities, give that or remove this")
	}
}

// checkPair reports a certificate without a key, or the reverse.
func checkPair(list *faultList, key, cert, private string) {
	if (cert == "") == (private == "") {
		return
	}
	missing, given := "cert", "key"
	if private == "" {
		missing, given = given, missing
	}
	if at := joinKey(key, missing); !list.isBad(at) {
		list.addAt(at, "is missing", strings.Join([]string{given, "is given, and is of no use alone"}, " "))
	}
}
