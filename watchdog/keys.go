package watchdog

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// The files of a member's keys.
const (
	caFile     = "ca.crt"
	certFile   = "member.crt"
	keyFile    = "member.key"
	gossipFile = "gossip.key"
	// caKeyFile is only where keygen was run. Who has it can make members.
	caKeyFile = "ca.key"
)

// certLife is how long certificates last. There is no renewal but a new keygen.
const certLife = 20 * 365 * 24 * time.Hour

// Keygen makes in dir an authority for the cluster, unless it is there already, and a
// folder of keys for every member that has none. A member's host needs its own folder alone.
func Keygen(dir, cluster string, members []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of keys: %w", err)
	}
	ca, caKey, err := authority(dir, cluster)
	if err != nil {
		return err
	}
	gossip, err := gossipKey(dir)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := memberKeys(filepath.Join(dir, m), m, cluster, ca, caKey, gossip); err != nil {
			return fmt.Errorf("make the keys of %s: %w", m, err)
		}
	}
	return nil
}

func authority(dir, cluster string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if _, err := os.Stat(filepath.Join(dir, caKeyFile)); errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, fmt.Errorf("make the authority's key: %w", err)
		}
		template := &x509.Certificate{Subject: pkix.Name{CommonName: "howdah " + cluster, Organization: []string{cluster}},
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		der, err := sign(template, template, &key.PublicKey, key)
		if err != nil {
			return nil, nil, err
		}
		if err := writePair(dir, caFile, caKeyFile, der, key); err != nil {
			return nil, nil, err
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, nil, fmt.Errorf("read the authority: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if org := pair.Leaf.Subject.Organization; !ok || len(org) != 1 || org[0] != cluster {
		return nil, nil, fmt.Errorf("%s is the authority of another cluster: use another folder", filepath.Join(dir, caFile))
	}
	return pair.Leaf, key, nil
}

// sign makes a certificate that began a year ago: a host whose clock is wrong is a member all the same.
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().AddDate(-1, 0, 0)
	template.NotAfter = time.Now().Add(certLife)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

func writePair(dir, cert, keyName string, der []byte, key *ecdsa.PrivateKey) error {
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if err := writeNew(filepath.Join(dir, keyName), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), 0o600); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, cert), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// writeNew never overwrites a key.
func writeNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func gossipKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, gossipFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("make the gossip key: %w", err)
		}
		if err := writeNew(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return readGossipKey(path)
}

func readGossipKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the gossip key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold 32 bytes in base64", path)
	}
	return key, nil
}

func memberKeys(dir, member, cluster string, ca *x509.Certificate, caKey *ecdsa.PrivateKey, gossip []byte) error {
	if _, err := os.Stat(filepath.Join(dir, keyFile)); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := sign(&x509.Certificate{Subject: pkix.Name{CommonName: member, Organization: []string{cluster}}, DNSNames: []string{member},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, caFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o644); err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, gossipFile), []byte(base64.StdEncoding.EncodeToString(gossip)+"\n"), 0o600); err != nil {
		return err
	}
	return writePair(dir, certFile, keyFile, der, key)
}

// keys are what a member has of Keygen.
type keys struct {
	tls    *tls.Config // for both sides; a client adds the server's name
	signer crypto.Signer
	gossip []byte
	// private is the member's key as PKCS #8, and authority the cluster's certificate in PEM: for the guardian (will).
	private, authority []byte
}

// loadKeys reads the folder, and holds that it belongs to this member of this cluster.
func loadKeys(dir, member, cluster string) (*keys, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("read the member's keys: %w (make them with: howdah watchdog keygen)", err)
	}
	name := pair.Leaf.DNSNames
	if len(name) != 1 || name[0] != member || len(pair.Leaf.Subject.Organization) != 1 || pair.Leaf.Subject.Organization[0] != cluster {
		return nil, fmt.Errorf("the keys in %s are those of member %v of cluster %v, not of %s of %s", dir, name, pair.Leaf.Subject.Organization, member, cluster)
	}
	text, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	k, err := keysOf(pair, text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, caFile), err)
	}
	if k.private, err = x509.MarshalPKCS8PrivateKey(pair.PrivateKey); err != nil {
		return nil, fmt.Errorf("encode the member's key: %w", err)
	}
	if k.gossip, err = readGossipKey(filepath.Join(dir, gossipFile)); err != nil {
		return nil, err
	}
	return k, nil
}

// keysOf are a member's keys without the one for gossip; authority is in PEM.
func keysOf(pair tls.Certificate, authority []byte) (*keys, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("it holds no certificate")
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T does not sign", pair.PrivateKey)
	}
	return &keys{signer: signer, authority: authority, tls: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}}, nil
}

// peerOf is the member at the other end, as its certificate says.
func peerOf(state tls.ConnectionState) (core.MemberID, error) {
	if len(state.PeerCertificates) == 0 || len(state.PeerCertificates[0].DNSNames) != 1 {
		return "", errors.New("the other end's certificate names no member")
	}
	return core.MemberID(state.PeerCertificates[0].DNSNames[0]), nil
}
