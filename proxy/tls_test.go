package proxy_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// selfSigned is what a server with a certificate of its own accepts TLS with.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
}

// encrypt has howdah talk TLS on both sides.
func encrypt(t testing.TB, c *configs.Config, fakes ...*fake) {
	t.Helper()
	for _, f := range fakes {
		f.tls = selfSigned(t)
	}
	c.TLS.Backend.Mode = "require"
	for i := range c.Backends {
		c.Backends[i].TLS = c.TLS.Backend
	}
	own := selfSigned(t).Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range []struct {
		path  *string
		block string
		der   []byte
	}{{&c.TLS.Client.Cert, "CERTIFICATE", own.Certificate[0]}, {&c.TLS.Client.Key, "PRIVATE KEY", key}} {
		*file.path = filepath.Join(dir, file.block)
		if err := os.WriteFile(*file.path, pem.EncodeToMemory(&pem.Block{Type: file.block, Bytes: file.der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// secure asks howdah for TLS, before the login.
func (c *client) secure() {
	c.t.Helper()
	c.send([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f})
	if err := c.Need(1); err != nil || c.Buffered()[0] != 'S' {
		c.t.Fatalf("no TLS: %q, %v", c.Buffered(), err)
	}
	c.Discard(1)
	if err := c.RequestTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		c.t.Fatal(err)
	}
}

// A client that reads late gets the whole of the last answer too, of which its socket did not take all at once, or all that was encrypted.
func TestClientReadsLate(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			t.Parallel()
			clientReadsLate(t, secure)
		})
	}
}

func clientReadsLate(t *testing.T, secure bool) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) {
		if secure {
			encrypt(t, c, primary, standby)
		}
	}, primary, standby)
	const most = 12
	var asked [most + 1]atomic.Int32 // by those that read so many answers late
	standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		if n, found := strings.CutPrefix(string(body), "SELECT y"); found && typ == wire.Query {
			c.Write(join(columns1, appendRow(nil, strings.Repeat("y", 7000)), selected, idle))
			asked[n[0]-'a'].Add(1)
			return done
		}
		return pass
	})
	var clients [most + 1]*client
	for n := 1; n <= most; n++ {
		c := dialSmall(t, h.addr)
		if secure {
			c.secure()
		}
		c.login("u")
		holdLittle(t, c.NetConn())
		c.goFast("SELECT x")
		for i, end := 0, time.Now().Add(200*time.Millisecond); i < n; i++ {
			c.send(wire.AppendQuery(nil, fmt.Sprintf("SELECT y%c", 'a'+n)))
			for asked[n].Load() <= int32(i) && time.Now().Before(end) {
				time.Sleep(time.Millisecond)
			}
		}
		clients[n] = c
	}
	if asked[1].Load() < 1 || asked[most].Load() == most {
		t.Fatalf("%d of 1 and %d of %d answers came at once: the sockets hold too little or too much", asked[1].Load(), asked[most].Load(), most)
	}
	time.Sleep(3 * time.Second) // sessions come to rest, for which they look at their clients
	for n, c := range clients[1:] {
		c.SetDeadline(time.Now().Add(patience))
		for i := range n + 1 {
			if got := c.answer(); got != "T D(long) C(SELECT 1) Z(I)" {
				t.Fatalf("answer %d of %d: %s", i+1, n+1, got)
			}
		}
	}
}

// dialSmall is dial with a client's socket that holds little.
func dialSmall(t testing.TB, addr string) *client {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) })
	}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

// holdLittle has howdah's end of the connection hold little of what it sends, and returns its descriptor.
func holdLittle(t testing.TB, c net.Conn) int {
	t.Helper()
	own := c.LocalAddr().(*net.TCPAddr).Port
	local := c.RemoteAddr().(*net.TCPAddr).Port
	for fd := range 10_000 {
		peer, err := unix.Getpeername(fd)
		if sa, ok := peer.(*unix.SockaddrInet4); err == nil && ok && sa.Port == own && isLocal(fd, local) {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10)
			return fd
		}
	}
	t.Error("howdah's end of the connection is not found")
	return -1
}

func isLocal(fd, port int) bool {
	own, err := unix.Getsockname(fd)
	sa, ok := own.(*unix.SockaddrInet4)
	return err == nil && ok && sa.Port == port
}
