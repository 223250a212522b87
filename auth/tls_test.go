package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/integration/pki"
)

func TestNames(t *testing.T) {
	ca := pki.New(t, "the authority")
	for _, row := range []struct {
		common string
		others []string
		host   string
		want   bool
	}{
		{"db.example.org", nil, "db.example.org", true},
		{"db.example.org", nil, "DB.Example.org.", true},
		{"db.example.org", nil, "example.org", false},
		{"*.example.org", nil, "db.example.org", true},
		{"*.example.org", nil, "a.db.example.org", false},
		{"*.example.org", nil, "example.org", false},
		{"*.org", nil, "example.org", false},
		{"*", nil, "db", false},
		{"", nil, "", false},
		{"db.example.org", []string{"other.example.org"}, "db.example.org", false}, // the common name counts alone only
		{"db.example.org", []string{"other.example.org"}, "other.example.org", true},
		{"x", []string{"127.0.0.1"}, "127.0.0.1", true},
		{"x", []string{"127.0.0.1"}, "127.0.0.2", false},
		{"127.0.0.1", nil, "127.0.0.1", true},
	} {
		cert := ca.Issue("x", pkix.Name{CommonName: row.common}, row.others...).Leaf
		if got := auth.Names(cert, row.host); got != row.want {
			t.Errorf("%q, %q for %q: got %v", row.common, row.others, row.host, got)
		}
	}
}

func TestLoadFrontTLS(t *testing.T) {
	ca := pki.New(t, "the authority")
	good, other := ca.Issue("good", pkix.Name{CommonName: "good"}), ca.Issue("other", pkix.Name{CommonName: "other"})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	locked := file("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, row := range []struct {
		name     string
		settings configs.ClientTLS
		want     string // part of the error
	}{
		{"off", configs.ClientTLS{Mode: "off", Cert: "none", Key: "none"}, ""},
		{"none", configs.ClientTLS{Mode: "allow"}, ""},
		{"good", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: good.Key, CA: ca.File, CRL: ca.Revoke("crl")}, ""},
		{"directory", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: good.Key, CA: filepath.Dir(ca.File)}, ""},
		{"no file", configs.ClientTLS{Mode: "allow", Cert: "/nonexistent", Key: good.Key}, "no such file"},
		{"another's key", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: other.Key}, "private key does not match"},
		{"passphrase", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: locked}, "passphrase"},
		{"empty authorities", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: good.Key, CA: file("empty", "")}, "no certificate"},
		{"no list", configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: good.Key, CA: ca.File, CRL: ca.File}, "no revocation list"},
	} {
		f, _, err := auth.LoadFrontTLS(&row.settings)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
		if has := f != nil; err == nil && has != (row.settings.Mode == "allow" && row.settings.Cert != "") {
			t.Errorf("%s: TLS %v", row.name, has)
		}
	}
	if err := os.Chmod(good.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, _ := auth.LoadFrontTLS(&configs.ClientTLS{Mode: "allow", Cert: good.Cert, Key: good.Key}); len(warnings) != 1 {
		t.Errorf("a key that all may read: warnings %q", warnings)
	}
}

// The list of every authority in the chain must be there and valid.
func TestRevocations(t *testing.T) {
	ca, other := pki.New(t, "the authority"), pki.New(t, "another")
	one, two := ca.Issue("one", pkix.Name{CommonName: "one"}).Leaf, ca.Issue("two", pkix.Name{CommonName: "two"}).Leaf
	root := ca.Certificate()
	for name, row := range map[string]struct {
		list string
		cert *x509.Certificate
		want string
	}{
		"revoked":     {ca.Revoke("a.crl", one), one, "is revoked"},
		"another":     {ca.Revoke("b.crl", one), two, ""},
		"unknown":     {other.Revoke("c.crl"), one, "no valid revocation list"},
		"out of date": {ca.RevokeUntil("d.crl", -1), one, "no valid revocation list"},
	} {
		err := auth.CheckRevoked(row.list, [][]*x509.Certificate{{row.cert, root}})
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}
