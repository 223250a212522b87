package watchdog

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// deathCertificate is a core.Certificate that anybody may bring: the dead leader's guardian has signed it with the member's key, for which
// the cluster's authority vouches. See decision 0038.
type deathCertificate struct {
	// Text is a deathText in JSON, Signature of its SHA-256 by the key of Member, a certificate in DER.
	Text      []byte `json:"text"`
	Signature []byte `json:"signature"`
	Member    []byte `json:"member"`
}

// deathText is what is signed.
type deathText struct {
	// Purpose keeps the text apart from anything else that the key signs.
	Purpose string           `json:"purpose"`
	Cluster string           `json:"cluster"`
	Dead    core.Certificate `json:"dead"`
}

const deathPurpose = "howdah: this leader is dead"

// certify signs that a leader is dead.
func certify(cluster string, dead core.Certificate, member []byte, key crypto.Signer) (*deathCertificate, error) {
	text, err := json.Marshal(deathText{deathPurpose, cluster, dead})
	if err != nil {
		return nil, fmt.Errorf("encode a death certificate: %w", err)
	}
	sum := sha256.Sum256(text)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign a death certificate: %w", err)
	}
	return &deathCertificate{Text: text, Signature: signature, Member: member}, nil
}

// verify holds that the certificate was signed for this cluster by the very member that it says is dead.
func (d *deathCertificate) verify(authority *x509.CertPool, cluster string) (core.Certificate, error) {
	var none core.Certificate
	member, err := x509.ParseCertificate(d.Member)
	if err != nil {
		return none, fmt.Errorf("read the member of a death certificate: %w", err)
	}
	if _, err := member.Verify(x509.VerifyOptions{Roots: authority, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return none, fmt.Errorf("check the member of a death certificate: %w", err)
	}
	key, ok := member.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256(d.Text)
	if !ok || !ecdsa.VerifyASN1(key, sum[:], d.Signature) {
		return none, errors.New("check a death certificate: its signature is not the member's")
	}
	var text deathText
	r := json.NewDecoder(bytes.NewReader(d.Text))
	r.DisallowUnknownFields()
	if err := r.Decode(&text); err != nil {
		return none, fmt.Errorf("read a death certificate: %w", err)
	}
	if text.Purpose != deathPurpose || text.Cluster != cluster {
		return none, fmt.Errorf("check a death certificate: it is of cluster %q, for %q", text.Cluster, text.Purpose)
	}
	if names := member.DNSNames; len(names) != 1 || core.MemberID(names[0]) != memberOf(raft.ServerID(text.Dead.Server)) {
		return none, fmt.Errorf("check a death certificate: %v says that %s is dead", names, text.Dead.Server)
	}
	return text.Dead, nil
}

// hearDead takes a certificate: from now on this member may vote, and campaigns if nobody is better. from brought it. Without
// an error this member would vote for another leader now.
func (w *Watchdog) hearDead(from core.MemberID, d *deathCertificate) error {
	dead, err := d.verify(w.keys.tls.RootCAs, w.cfg.Cluster)
	if err != nil {
		return err
	}
	fresh, err := w.lease.died(dead)
	if fresh {
		w.log.Warn("the leader is dead, as its guardian says: no need to wait for its lease", "leader", dead.Server, "term", dead.Term, "heard_from", string(from))
		w.goDo(func() { w.succeed(dead, d) })
	}
	return errors.Join(err, w.lease.mayVote())
}

// died ends the promise to a dead leader; fresh is false if that was so already.
func (t *leaseTransport) died(dead core.Certificate) (fresh bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.guard.Dead(dead); err != nil {
		return false, err
	}
	fresh = t.dead != dead
	t.dead = dead
	return fresh, nil
}

// succeed has a member campaign as soon as a majority would vote for it: this one, or another of a better rank. Those who might have had
// no notice get a moment; one that is there gets more, as two that campaign at once may both lose.
func (w *Watchdog) succeed(dead core.Certificate, d *deathCertificate) {
	var rank, missing int
	var others, better []core.MemberID
	w.inspect(func(l *loop) {
		rank, better = w.heirs()
		better = better[:min(rank, len(better))]
		missing = core.Quorum(len(l.voters)) - 1
		for _, id := range l.voters {
			if id != w.self && id != memberOf(raft.ServerID(dead.Server)) {
				others = append(others, id)
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*w.timing.Election)
	defer cancel()
	willing := make(chan core.MemberID, len(others))
	for _, id := range others {
		w.goDo(func() { w.persuade(ctx, id, d, willing) })
	}
	turn := time.After(w.timing.Election / 6 * time.Duration(rank))
	for waiting := true; waiting || missing > 0 || w.lease.mayCampaign() != nil; {
		select {
		case id := <-willing:
			if missing--; waiting && slices.Contains(better, id) {
				turn = time.After(w.timing.Election * time.Duration(rank))
			}
		case <-turn:
			waiting = false
		case <-time.After(persuadeRetry): // for mayCampaign
		case <-ctx.Done():
			return
		case <-w.loop.ended:
			return
		}
		if w.raft().CurrentTerm() != dead.Term {
			return
		}
	}
	if w.raft().State() == raft.Follower && w.lease.votes() {
		w.log.Info("this member campaigns, as the leader is dead", "rank", rank)
		w.lease.campaign()
	}
}

// persuadeRetry is the pause before a member that would not vote yet is asked again.
const persuadeRetry = 10 * time.Millisecond

// persuade brings another voter the certificate, until it would vote for another leader. A vote that is asked for too early is refused, and
// whoever asked in vain waits for an election timeout and more before it asks again.
func (w *Watchdog) persuade(ctx context.Context, id core.MemberID, d *deathCertificate, willing chan<- core.MemberID) {
	for {
		_, err := w.caller.call(ctx, id, request{Dead: d})
		if err == nil {
			willing <- id
			return
		}
		w.log.Debug("a member does not vote for another leader yet", "peer", string(id), "error", err)
		select {
		case <-time.After(persuadeRetry):
		case <-ctx.Done():
			return
		case <-w.loop.ended:
			return
		}
	}
}

// campaign has raft ask for votes at once, as a leader does that gives leadership away: voters who remember the old leader
// would refuse otherwise. Their guards are asked all the same.
func (t *leaseTransport) campaign() {
	// The answer is of no interest; the channel has room for it.
	now := raft.RPC{Command: &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}, RespChan: make(chan raft.RPCResponse, 1)}
	select {
	case t.rpcs <- now:
	case <-t.done:
	}
}
