package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/wire"
)

// tlsConfigs are those of a server with a certificate of its own and of a client that trusts it.
func tlsConfigs(t testing.TB, version uint16) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion: version, MaxVersion: version, DynamicRecordSizingDisabled: true}
	return server, &tls.Config{RootCAs: roots, ServerName: "localhost", DynamicRecordSizingDisabled: true}
}

// versions calls f for each version of TLS with the two ends of a connection.
func versions(t *testing.T, f func(t *testing.T, server, client *wire.Conn)) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			server, client := wire.NewConn(a), wire.NewConn(b)
			server.SetDeadline(time.Now().Add(20 * time.Second))
			client.SetDeadline(time.Now().Add(20 * time.Second))
			shakeHands(t, server, client, version)
			f(t, server, client)
		})
	}
}

func shakeHands(t testing.TB, server, client *wire.Conn, version uint16) {
	t.Helper()
	forServer, forClient := tlsConfigs(t, version)
	accepted := make(chan error, 1)
	go func() { accepted <- server.AcceptTLS(forServer) }()
	if err := client.RequestTLS(forClient); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if got := client.TLS().Version; got != version {
		t.Fatalf("version %x, want %x", got, version)
	}
}

func TestTLSExchange(t *testing.T) {
	versions(t, func(t *testing.T, server, client *wire.Conn) {
		var running sync.WaitGroup
		const rounds = 1000
		running.Go(func() {
			n := 0
			for n < rounds {
				if err := server.Serve(handler(func() wire.Next { return wire.ServeEnd })); err != nil {
					t.Errorf("serve: %v", err)
				}
				n++
				server.Write(server.Buffered())
				server.Discard(len(server.Buffered()))
			}
		})
		request := wire.AppendQuery(nil, "SELECT 1")
		for range rounds {
			if err := client.Exchange(request, never(t)); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := client.Next(100); err != nil || !bytes.Equal(msg, request) {
				t.Fatalf("got %q, error %v", msg, err)
			}
			client.Discard(0)
		}
		running.Wait()
	})
}

// Both ends write more than the sockets hold before they read.
func TestTLSWriteDuplexReadsWhileBlocked(t *testing.T) {
	versions(t, func(t *testing.T, server, client *wire.Conn) {
		out := make([]byte, 16<<20)
		for i := range out {
			out[i] = byte(i * 7)
		}
		var running sync.WaitGroup
		for _, c := range []*wire.Conn{server, client} {
			running.Go(func() {
				var got bytes.Buffer
				if err := c.WriteDuplex(out, drainTo(c, &got)); err != nil {
					t.Error(err)
					return
				}
				for got.Len() < len(out) {
					if err := c.Fill(); err != nil {
						t.Errorf("after %d bytes: %v", got.Len(), err)
						return
					}
					got.Write(c.Buffered())
					c.Discard(len(c.Buffered()))
				}
				if !bytes.Equal(got.Bytes(), out) {
					t.Error("what came differs from what was sent")
				}
			})
		}
		running.Wait()
	})
}

// A peer that takes nothing for a while gets all of a large exchange in the end.
func TestTLSExchangeOverFullSockets(t *testing.T) {
	a, b := small(t)
	server, client := wire.NewConn(a), wire.NewConn(b)
	server.SetDeadline(time.Now().Add(20 * time.Second))
	client.SetDeadline(time.Now().Add(20 * time.Second))
	shakeHands(t, server, client, tls.VersionTLS13)
	for _, size := range []int{1, 5_000, 70_000, 300_000} {
		request := make([]byte, size)
		rand.Read(request)
		var running sync.WaitGroup
		running.Go(func() {
			for left := size; left > 0; {
				if err := server.Fill(); err != nil {
					t.Error(err)
					return
				}
				left -= len(server.Buffered())
				if err := server.Write(server.Buffered()); err != nil {
					t.Error(err)
					return
				}
				server.Discard(len(server.Buffered()))
			}
		})
		var got bytes.Buffer
		if err := client.Exchange(request, drainTo(client, &got)); err != nil {
			t.Fatal(err)
		}
		for {
			got.Write(client.Buffered())
			client.Discard(len(client.Buffered()))
			if got.Len() >= size {
				break
			}
			if err := client.Fill(); err != nil {
				t.Fatalf("after %d of %d bytes: %v", got.Len(), size, err)
			}
		}
		running.Wait()
		if !bytes.Equal(got.Bytes(), request) {
			t.Errorf("%d bytes: the echo differs from what was sent", size)
		}
	}
}

// More than a buffer's worth of records that came together is found by whoever waits,
// although the socket itself has nothing more.
func TestTLSAwaitReadable(t *testing.T) {
	versions(t, func(t *testing.T, server, client *wire.Conn) {
		const size = 40_000
		if err := server.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		got := 0
		for got < size {
			if err := client.AwaitReadable(); err != nil {
				t.Fatal(err)
			}
			if _, err := client.TryFill(); err != nil {
				t.Fatal(err)
			}
			got += len(client.Buffered())
			client.Discard(len(client.Buffered()))
		}
		if err := client.Alive(); err != nil {
			t.Errorf("a connection in order: %v", err)
		}
		server.Close()
		if err := client.AwaitReadable(); err != nil {
			t.Fatal(err)
		}
		if err := client.Alive(); !errors.Is(err, wire.ErrDead) {
			t.Errorf("a closed connection: %v, want ErrDead", err)
		}
	})
}

// An end of the stream is one with a farewell or without.
func TestTLSEnd(t *testing.T) {
	for _, farewell := range []bool{true, false} {
		versions(t, func(t *testing.T, server, client *wire.Conn) {
			if farewell {
				client.Close()
			} else {
				client.NetConn().Close()
			}
			if err := server.Fill(); !errors.Is(err, io.EOF) {
				t.Errorf("farewell %v: got %v, want io.EOF", farewell, err)
			}
		})
	}
}

// What is no TLS in the middle of it is an error, not data.
func TestTLSGarbage(t *testing.T) {
	versions(t, func(t *testing.T, server, client *wire.Conn) {
		if _, err := client.NetConn().Write(wire.AppendQuery(nil, "DROP TABLE accounts")); err != nil {
			t.Fatal(err)
		}
		if err := server.Fill(); err == nil || errors.Is(err, io.EOF) || len(server.Buffered()) > 0 {
			t.Errorf("got %q, error %v", server.Buffered(), err)
		}
	})
}

// A handshake may have begun before it was known to be one, and must not have before it is asked for.
func TestTLSEarlyBytes(t *testing.T) {
	a, b := pair(t)
	server, client := wire.NewConn(a), wire.NewConn(b)
	server.SetDeadline(time.Now().Add(20 * time.Second))
	client.SetDeadline(time.Now().Add(20 * time.Second))
	forServer, forClient := tlsConfigs(t, tls.VersionTLS13)
	accepted := make(chan error, 1)
	go func() {
		err := server.Need(8)
		if err == nil {
			err = server.AcceptTLS(forServer)
		}
		accepted <- err
	}()
	if err := client.RequestTLS(forClient); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}

	a, b = pair(t)
	server, client = wire.NewConn(a), wire.NewConn(b)
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if err := server.Write([]byte("SE")); err != nil {
		t.Fatal(err)
	}
	if err := client.Need(1); err != nil {
		t.Fatal(err)
	}
	client.Discard(1)
	if err := client.Need(1); err != nil {
		t.Fatal(err)
	}
	if err := client.RequestTLS(forClient); err == nil {
		t.Error("a handshake after bytes that came before it")
	}
	p, _ := net.Pipe()
	if err := wire.NewConn(p).RequestTLS(forClient); err == nil {
		t.Error("a handshake over a pipe")
	}
}

// What was taken and not sent is owed, and sent by the next write.
func TestTLSOwes(t *testing.T) {
	a, b := small(t)
	server, client := wire.NewConn(a), wire.NewConn(b)
	server.SetDeadline(time.Now().Add(20 * time.Second))
	client.SetDeadline(time.Now().Add(20 * time.Second))
	shakeHands(t, server, client, tls.VersionTLS13)
	var sent []byte
	for i := 0; !server.Owes(); i++ {
		p := bytes.Repeat([]byte{byte(i)}, 5000)
		n, err := server.TryWrite(p)
		if err != nil || n < len(p) && !server.Owes() {
			t.Fatalf("after %d bytes: took %d, owes %v: %v", len(sent), n, server.Owes(), err)
		}
		sent = append(sent, p[:n]...)
	}
	if became, n, err := server.Ask(nil, []byte("question"), nil); became != wire.NotAsked || n != 0 || err != nil {
		t.Errorf("asked behind what is owed: %d, %d bytes, %v", became, n, err)
	}
	written := make(chan error, 1)
	go func() { written <- server.Write(nil) }()
	for len(client.Buffered()) < len(sent) {
		if err := client.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-written; err != nil || server.Owes() || !bytes.Equal(client.Buffered(), sent) {
		t.Errorf("%d of %d bytes, owes %v: %v", len(client.Buffered()), len(sent), server.Owes(), err)
	}
}

// A question that was taken and not all sent is not waited for an answer to, which would never come.
func TestTLSAskedInPart(t *testing.T) {
	a, b := small(t)
	server, client := wire.NewConn(a), wire.NewConn(b)
	server.SetDeadline(time.Now().Add(20 * time.Second))
	shakeHands(t, server, client, tls.VersionTLS13)
	question := make([]byte, 50_000)
	for range 10 { // the sockets may hold one or two
		became, n, err := client.Ask(nil, question, handler(nil))
		switch became {
		case wire.AskedWaits:
			client.SetDeadline(time.Unix(1, 0)) // ends the wait
			client.SetDeadline(time.Now().Add(20 * time.Second))
		case wire.AskedInPart:
			if n != len(question) || err != nil || !client.Owes() {
				t.Errorf("%d bytes were taken, owes %v: %v", n, client.Owes(), err)
			}
			return
		default:
			t.Fatalf("asked: %d, %d bytes, %v", became, n, err)
		}
	}
	t.Fatal("the sockets hold everything")
}

func TestTLSAllocatesLittle(t *testing.T) {
	a, b := pair(t)
	server, client := wire.NewConn(a), wire.NewConn(b)
	shakeHands(t, server, client, tls.VersionTLS13)
	msg := wire.AppendQuery(nil, "SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	once := func() {
		if err := client.Write(msg); err != nil {
			t.Fatal(err)
		}
		if err := server.Need(len(msg)); err != nil {
			t.Fatal(err)
		}
		if err := server.Write(server.Buffered()); err != nil {
			t.Fatal(err)
		}
		server.Discard(len(msg))
		if _, _, err := client.Next(1000); err != nil {
			t.Fatal(err)
		}
	}
	once()
	if n := testing.AllocsPerRun(1000, once); n > 6 { // crypto/tls makes one for each attempt to read; the race detector one more // crypto/tls's own, two for each record read
		t.Fatalf("%v allocations per message there and back", n)
	}
}

// A farewell that comes together with data is found although the socket does not end.
func TestTLSFarewellWithData(t *testing.T) {
	forServer, forClient := tlsConfigs(t, tls.VersionTLS13)
	a, b := pair(t)
	server, peer := wire.NewConn(a), tls.Client(b, forClient)
	defer server.Close()
	server.SetDeadline(time.Now().Add(10 * time.Second))
	accepted := make(chan error, 1)
	go func() { accepted <- server.AcceptTLS(forServer) }()
	if err := peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	peer.Write([]byte("last words"))
	peer.CloseWrite()
	time.Sleep(20 * time.Millisecond) // both are there
	if err := server.Fill(); err != nil || string(server.Buffered()) != "last words" {
		t.Fatalf("got %q, %v", server.Buffered(), err)
	}
	if err := server.Fill(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want io.EOF", err)
	}
}
