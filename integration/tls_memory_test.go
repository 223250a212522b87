package integration_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/integration/pki"
)

// maxIdleTLS is what a TLS client that is idle may cost, in bytes.
const maxIdleTLS = 40 << 10

// resident is a process's resident memory in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal("no Rss")
	return 0
}

// TestTLSIdleMemory has many clients that said something once and are idle. They do not
// cost buffers. The race detector would multiply the memory, so it is not built in.
func TestTLSIdleMemory(t *testing.T) {
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	ca := pki.New(t, "the authority")
	bin := filepath.Join(t.TempDir(), "howdah")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/howdah/howdah/cmd/howdah").CombinedOutput(); err != nil {
		t.Fatalf("build howdah: %v\n%s", err, out)
	}
	port, err := pgcluster.FreePort()
	must(t, err)
	server, err := howdahtest.Launch(bin, t.TempDir(), port, howdahtest.Options{Cluster: cluster,
		Settings: tlsSettings(ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost"))})
	must(t, err)
	defer func() { must(t, server.Stop()) }()
	body := version3 + "user\x00postgres\x00\x00"
	connect := func() {
		conn, err := tlsRaw(t, server, ca, sslRequest, "S")
		must(t, err)
		must(t, secureLogin(conn, packet(4+len(body), body)))
		r := &raw{Conn: conn}
		_, err = io.WriteString(conn, "Q\x00\x00\x00\x0aBEGIN\x00")
		must(t, err)
		must(t, r.until('Z'))
		_, err = io.WriteString(conn, "Q\x00\x00\x00\x0dROLLBACK\x00")
		must(t, err)
		must(t, r.until('Z'))
	}
	for range 50 {
		connect()
	}
	before := resident(t, server.Pid())
	const clients = 1000
	for range clients {
		connect()
	}
	each := (resident(t, server.Pid()) - before) / clients
	t.Logf("%d bytes for each idle client", each)
	if each > maxIdleTLS {
		t.Errorf("%d bytes for each idle client, want at most %d", each, maxIdleTLS)
	}
}

func secureLogin(conn *tls.Conn, startup string) error {
	if _, err := io.WriteString(conn, startup); err != nil {
		return err
	}
	return (&raw{Conn: conn}).until('Z')
}
