package integration_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/integration/pki"
)

// ldapServer is OpenLDAP's slapd with the users alice and two that share a mail address.
type ldapServer struct{ port, securePort int }

const ldapEntries = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: uid=alice,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: alice
sn: alice
mail: alice@example.org
userPassword: alice's secret

dn: uid=bob,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: bob
sn: bob
mail: twins
userPassword: bob's secret

dn: uid=twin,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: twin
sn: twin
mail: twins
userPassword: bob's secret
`

// startLDAP starts slapd with a certificate of ca for localhost. It ends with the test.
func startLDAP(t *testing.T, pair pki.Pair) ldapServer {
	t.Helper()
	const slapd = "/usr/sbin/slapd"
	if _, err := os.Stat(slapd); err != nil {
		t.Fatalf("the test needs OpenLDAP's server (scripts/deps.sh test): %v", err)
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "db"), 0o700))
	var s ldapServer
	var err error
	s.port, err = pgcluster.FreePort()
	must(t, err)
	s.securePort, err = pgcluster.FreePort()
	must(t, err)
	config := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile %[1]s/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
database mdb
suffix dc=example,dc=org
rootdn cn=admin,dc=example,dc=org
rootpw admin's
directory %[1]s/db
maxsize 10485760
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=cn=admin,dc=example,dc=org write by anonymous read by users read
`, dir, pair.Cert, pair.Key)
	file, entries := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "entries.ldif")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	must(t, os.WriteFile(entries, []byte(ldapEntries), 0o600))
	if out, err := exec.Command("/usr/sbin/slapadd", "-f", file, "-l", entries).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	cmd := exec.Command(slapd, "-f", file, "-d", "0", "-h", fmt.Sprintf("ldap://127.0.0.1:%d ldaps://127.0.0.1:%d", s.port, s.securePort))
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed
		log.Close()        //nolint:errcheck // nothing depends on it
	})
	eventually(t, "slapd to listen", func() error {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.securePort), time.Second)
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text)))
		}
		return conn.Close()
	})
	return s
}
