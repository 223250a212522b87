package auth_test

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/integration/pki"
)

// Both sides bind, one does, or somebody is between them.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t)
	one, other := []byte("one certificate"), []byte("another certificate")
	for _, row := range []struct {
		name            string
		server, client  []byte
		mechanism, flag string
		refused         bool
	}{
		{"neither", nil, nil, "SCRAM-SHA-256", "n,,", false},
		{"both", one, one, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", false},
		{"client only", nil, one, "SCRAM-SHA-256", "y,,", false},
		{"server only", one, nil, "SCRAM-SHA-256", "n,,", false},
		{"somebody between", one, other, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", true},
	} {
		x := a.NewExchange(auth.MethodSCRAM, user, auth.PlainSecret(user, password), true)
		x.Bind(row.server)
		l := auth.NewLogin(user, auth.PasswordCredentials(user, password), rand.Reader)
		l.Bind(row.client)
		msg, _, err := x.Start()
		if err != nil {
			t.Fatal(err)
		}
		reply, _, err := l.Step(payload(t, msg))
		if err != nil {
			t.Fatal(err)
		}
		first := reply.(*pgproto3.SASLInitialResponse)
		if first.AuthMechanism != row.mechanism || !strings.HasPrefix(string(first.Data), row.flag) {
			t.Errorf("%s: %s, %q", row.name, first.AuthMechanism, first.Data)
		}
		for done := false; !done && err == nil; {
			if msg, done, err = x.Step(payload(t, reply)); err == nil && msg != nil {
				reply, _, err = l.Step(payload(t, msg))
			}
		}
		if (err != nil) != row.refused {
			t.Errorf("%s: %v, want refused %v", row.name, err, row.refused)
		}
	}
}

// The offer of channel binding was taken away on its way: the client says that it could.
func TestChannelBindingDowngrade(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{"y,,": "negotiation error", "p=tls-unique,,": "without channel binding", "n,,": ""} {
		x := newAuthenticator(t).NewExchange(auth.MethodSCRAM, user, auth.PlainSecret(user, password), true)
		x.Bind([]byte("a certificate"))
		x.Start()
		_, _, err := x.Step(payload(t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(flag + "n=,r=abc")}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}

// Names in maps are written as OpenSSL writes them.
func TestDistinguishedName(t *testing.T) {
	t.Parallel()
	ca := pki.New(t, "the authority")
	for _, subject := range []pkix.Name{
		{CommonName: "alice"},
		{CommonName: `a,b+c"d\e<f>g;h`, Organization: []string{" leading", "trailing "}, Country: []string{"DE"}},
		{CommonName: "#hash", OrganizationalUnit: []string{"Zürich", "two"}, Locality: []string{"x=y"}},
		{CommonName: "u", SerialNumber: "17", ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "a@example.org"}, {Type: []int{0, 9, 2342, 19200300, 100, 1, 1}, Value: "uid"}}},
	} {
		p := ca.Issue("subject", subject)
		out, err := exec.Command("openssl", "x509", "-in", p.Cert, "-noout", "-subject", "-nameopt", "RFC2253").Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
		if got, err := auth.DistinguishedName(p.Leaf.RawSubject); err != nil || got != want {
			t.Errorf("got %s, want %s, error %v", got, want, err)
		}
	}
}

func TestIdent(t *testing.T) {
	t.Parallel()
	ident, err := auth.ParseIdentLines([]string{
		`m alice@example.org alice`,
		`m /^(.*)@example\.com$ \1`,
		`m /^admin all`,
		`m boss +admins`,
		`m wild /^w`,
		`other x y`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		usermap, system, user string
		want                  bool
	}{
		{"", "alice", "alice", true}, {"", "alice", "bob", false},
		{"m", "alice@example.org", "alice", true}, {"m", "alice", "alice", false},
		{"m", "bob@example.com", "bob", true}, {"m", "bob@example.com", "alice", false}, {"m", "bob@exampleXcom", "bob", false},
		{"m", "admin7", "anybody", true}, {"m", "boss", "bob", true}, {"m", "boss", "carol", false},
		{"m", "wild", "wolf", true}, {"m", "wild", "bear", false}, {"none", "x", "x", false}, {"other", "x", "y", true},
	} {
		c := auth.ConnInfo{User: row.user, Member: func(role string) (bool, error) { return role == "admins" && row.user == "bob", nil }}
		if got, err := ident.Maps(row.usermap, row.system, c); got != row.want || err != nil {
			t.Errorf("map %q, %q as %q: %v, %v", row.usermap, row.system, row.user, got, err)
		}
	}
	for _, bad := range []string{"m", "m a", "m a b c", `m /( b`, `m /a \1`, `m a,b c`, `m /(a) /\1`} {
		if _, err := auth.ParseIdentLines([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzIdent(f *testing.F) {
	f.Add(`m /^(.*)@example\.com$ \1`, "a@example.com")
	f.Add("include x\nm a +b", "")
	f.Fuzz(func(t *testing.T, text, system string) {
		i, err := auth.ParseIdent("f", strings.NewReader(text))
		if err == nil {
			_, _ = i.Maps("m", system, auth.ConnInfo{User: "u"}) // no panic
		}
	})
}
