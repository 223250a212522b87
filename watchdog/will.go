package watchdog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// Testator is an Address with a guardian that outlives this process, and can do one thing more when it has seen that this process
// is dead and the address gone: ExecuteWill.
type Testator interface {
	// Will replaces the will; empty takes it back. It must not wait.
	Will(text []byte)
}

// will is what a leader's guardian must know to tell the other members of its death.
type will struct {
	Cluster string
	Member  core.MemberID
	Dead    core.Certificate
	// Peers are the other members and where they are reached.
	Peers map[core.MemberID]string
	// Chain and Key are the member's own, Authority the cluster's: certificates in DER, the key as PKCS #8 (RFC 5208).
	Chain     [][]byte
	Key       []byte
	Authority []byte // PEM
	// Within is how long the others are worth telling: after that they elect without being told.
	Within time.Duration
}

// writeWill leaves a will for the term that this member leads in, when something in it changed.
func (w *Watchdog) writeWill() {
	t, ok := w.parts.Address.(Testator)
	if !ok {
		return
	}
	peers := map[core.MemberID]string{}
	for _, id := range w.members() {
		if address, ok := w.addressOf(id); ok {
			peers[id] = address
		}
	}
	l := &w.loop
	if term := l.machine.Lease().Term(); term == l.willed && maps.Equal(peers, l.told) {
		return
	}
	l.willed, l.told = l.machine.Lease().Term(), peers
	text, err := json.Marshal(will{Cluster: w.cfg.Cluster, Member: w.self, Dead: core.Certificate{Server: string(w.identity.Server), Term: l.willed}, Peers: peers,
		Chain: w.keys.tls.Certificates[0].Certificate, Key: w.keys.private, Authority: w.keys.authority, Within: w.timing.Election})
	if err != nil {
		w.log.Warn("no will was written: the members will elect without being told", "error", err)
		return
	}
	t.Will(text)
}

// ExecuteWill tells the other members that the leader which left this will is dead. Whoever calls it has made sure that its
// process is, and that the address is gone from this host. The error is that nobody was told.
func ExecuteWill(ctx context.Context, text []byte, log *slog.Logger) error {
	var l will
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("read the will: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(l.Key)
	if err != nil {
		return fmt.Errorf("read the will's key: %w", err)
	}
	pair := tls.Certificate{Certificate: l.Chain, PrivateKey: key}
	k, err := keysOf(pair, l.Authority)
	if err != nil {
		return fmt.Errorf("read the will: %w", err)
	}
	if memberOf(raft.ServerID(l.Dead.Server)) != l.Member || k.signer == nil {
		return fmt.Errorf("read the will: it is not that of member %s", l.Member)
	}
	d, err := certify(l.Cluster, l.Dead, l.Chain[0], k.signer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.Within)
	defer cancel()
	p := &port{cluster: l.Cluster, self: l.Member, tls: k.tls, log: log}
	heirs := slices.Collect(maps.Keys(l.Peers))
	told := make(chan error, len(heirs))
	for _, id := range heirs {
		go func() { told <- tell(ctx, p, id, l.Peers[id], d) }() // ends with ctx
	}
	var failed []error
	for range heirs {
		if err := <-told; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == len(heirs) {
		return errors.Join(failed...)
	}
	log.Info("the other members know that this leader is dead", "told", len(heirs)-len(failed), "of", len(heirs), "term", l.Dead.Term, "error", errors.Join(failed...))
	return nil
}

// tellRetry is the pause before a member that was not reached is told again.
const tellRetry = 10 * time.Millisecond

// tell brings one member the certificate. That it had no use for it is no error.
func tell(ctx context.Context, p *port, id core.MemberID, address string, d *deathCertificate) error {
	for {
		conn, err := p.dial(ctx, rpcProtocol(p.cluster), id, address)
		if err == nil {
			_, err = exchange(ctx, conn, request{Dead: d})
			conn.Close()
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tell member %s: %w", id, err)
		case <-time.After(tellRetry):
		}
	}
}
