package watchdog

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// keysIn makes and reads the keys of members of a cluster.
func keysIn(t *testing.T, cluster string, members ...string) map[string]*keys {
	t.Helper()
	dir := t.TempDir()
	if err := Keygen(dir, cluster, members); err != nil {
		t.Fatal(err)
	}
	all := map[string]*keys{}
	for _, m := range members {
		k, err := loadKeys(filepath.Join(dir, m), m, cluster)
		if err != nil {
			t.Fatal(err)
		}
		all[m] = k
	}
	return all
}

// A certificate counts as it was signed, in its cluster, and only about the member that signed it.
func TestWhoCertifiesADeath(t *testing.T) {
	shop, other := keysIn(t, "shop", "p1", "p2"), keysIn(t, "shop", "p1")
	roots := shop["p2"].tls.RootCAs
	signed := func(cluster, server string, k *keys) *deathCertificate {
		t.Helper()
		d, err := certify(cluster, core.Certificate{Server: server, Term: 7}, k.tls.Certificates[0].Certificate[0], k.signer)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	good := signed("shop", "p1.abc", shop["p1"])
	if dead, err := good.verify(roots, "shop"); err != nil || dead != (core.Certificate{Server: "p1.abc", Term: 7}) {
		t.Errorf("got %v %v", dead, err)
	}
	altered, borrowed, purpose := *good, *good, *good
	altered.Text = []byte(strings.Replace(string(good.Text), `"term":7`, `"term":8`, 1))
	borrowed.Member = shop["p2"].tls.Certificates[0].Certificate[0]
	purpose.Text = []byte(`{}`)
	for name, c := range map[string]struct {
		d    *deathCertificate
		want string
	}{
		"another term":                       {&altered, "signature"},
		"signed by another key than it says": {&borrowed, "signature"},
		"nothing":                            {&deathCertificate{}, "read the member"},
		"no text":                            {&purpose, "signature"},
		"one member about another":           {signed("shop", "p1.abc", shop["p2"]), "[p2] says that p1.abc is dead"},
		"another cluster":                    {signed("bank", "p1.abc", shop["p1"]), "cluster \"bank\""},
		"another authority":                  {signed("shop", "p1.abc", other["p1"]), "check the member"},
	} {
		if dead, err := c.d.verify(roots, "shop"); err == nil || !strings.Contains(err.Error(), c.want) || dead != (core.Certificate{}) {
			t.Errorf("%s: got %v %v", name, dead, err)
		}
	}
}

// FuzzCertificate reads what a member may be sent.
func FuzzCertificate(f *testing.F) {
	dir := f.TempDir()
	if err := Keygen(dir, "shop", []string{"p1"}); err != nil {
		f.Fatal(err)
	}
	k, err := loadKeys(filepath.Join(dir, "p1"), "p1", "shop")
	if err != nil {
		f.Fatal(err)
	}
	d, err := certify("shop", core.Certificate{Server: "p1.abc", Term: 7}, k.tls.Certificates[0].Certificate[0], k.signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.Text, d.Signature, d.Member)
	f.Fuzz(func(t *testing.T, text, signature, member []byte) {
		dead, err := (&deathCertificate{Text: text, Signature: signature, Member: member}).verify(k.tls.RootCAs, "shop")
		if err == nil && dead != (core.Certificate{Server: "p1.abc", Term: 7}) {
			t.Errorf("%v was believed", dead)
		}
	})
}

// mortal is an Address of which the will is kept.
type mortal struct {
	NoAddress
	mu   sync.Mutex
	text []byte
}

func (m *mortal) Will(text []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = text
}

func (m *mortal) will() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text
}

// A leader falls silent, and its guardian says that it is dead. The others elect in less than the time that they would have waited for
// it; and what it said then changes nothing later.
func TestWillIsExecuted(t *testing.T) {
	q := newQuorum(t, "p1", "p2", "p3")
	owner := q.ready()
	eventually(t, func() string {
		for _, m := range q.members {
			if err := m.w.lease.mayVote(); m != owner && (err == nil || strings.Contains(err.Error(), "started")) {
				return "a member may vote, or was just started"
			}
		}
		if len(owner.mortal.will()) == 0 {
			return "there is no will"
		}
		return ""
	})
	// Its process is as good as dead: nobody hears of it any more, and it has no address.
	will, term := owner.mortal.will(), owner.w.raft().CurrentTerm()
	owner.w.lease.silent.Store(true)
	owner.mortal.Want(AddressWant{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := ExecuteWill(ctx, will, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	campaigned := func(m *member) bool {
		m.w.lease.mu.Lock()
		defer m.w.lease.mu.Unlock()
		return m.w.lease.dead == core.Certificate{Server: string(owner.w.identity.Server), Term: term}
	}
	for _, m := range q.members {
		if m != owner && !campaigned(m) {
			t.Errorf("%s did not take note", m.cfg.Name)
		}
	}
	next := q.successor(owner)
	// The word about the former leader does not let anybody leave the present one.
	if err := ExecuteWill(ctx, will, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		for _, m := range q.members {
			if _, err := m.w.lease.died(core.Certificate{Server: string(owner.w.identity.Server), Term: term}); m != owner && m != next && err == nil {
				return m.cfg.Name + " did not acknowledge " + next.cfg.Name + " yet"
			}
		}
		return ""
	})
}

// What is no will is refused, and nobody is told.
func TestWillsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "{}", `{"Key":"AAAA"}`, "x"} {
		if err := ExecuteWill(t.Context(), []byte(text), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q was executed", text)
		}
	}
}
