package auth_test

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
)

const user, password = "alice", "pässword"

func md5Stored(user, password string) string {
	sum := md5.Sum([]byte(password + user))
	return "md5" + hex.EncodeToString(sum[:])
}

// scramStored makes a verifier in the form PostgreSQL stores.
func scramStored(t testing.TB, password string, salt []byte) string {
	v, err := auth.VerifierText(password, salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parse(t testing.TB, stored string) auth.Secret {
	s, err := auth.ParseSecret(user, stored)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every method against every stored kind, with the right and a wrong password,
// and what is learned by it.
func TestExchangeCombinations(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t)
	secrets := map[string]auth.Secret{
		"none": {}, "plain": auth.PlainSecret(user, password), "md5": parse(t, md5Stored(user, password)),
		"scram": parse(t, scramStored(t, password, []byte("0123456789abcdef"))),
	}
	const no = "refused"
	want := map[auth.Method]map[string]string{
		auth.MethodTrust:    {"none": "none", "plain": "password", "md5": "md5", "scram": "none"},
		auth.MethodReject:   {"none": no, "plain": no, "md5": no, "scram": no},
		auth.MethodPassword: {"none": no, "plain": "password", "md5": "password", "scram": "password"},
		auth.MethodMD5:      {"none": no, "plain": "password", "md5": "md5", "scram": "scram-keys"},
		auth.MethodSCRAM:    {"none": no, "plain": "password", "md5": no, "scram": "scram-keys"},
	}
	for method, row := range want {
		for kind, learned := range row {
			for _, typed := range []string{password, "wrong"} {
				x := a.NewExchange(method, user, secrets[kind], true)
				server, client := converse(t, x, auth.NewLogin(user, auth.PasswordCredentials(user, typed), rand.Reader))
				if client != nil {
					t.Errorf("%v, %s: login: %v", method, kind, client)
				}
				wantErr := learned == no || typed != password && method != auth.MethodTrust
				if (server != nil) != wantErr {
					t.Errorf("%v, %s, %s: got %v", method, kind, typed, server)
				}
				wantCreds := "credentials(" + learned + ")"
				if wantErr {
					wantCreds = "credentials(none)"
				}
				if got := x.Credentials().String(); got != wantCreds {
					t.Errorf("%v, %s, %s: learned %s, want %s", method, kind, typed, got, wantCreds)
				}
			}
		}
	}
}

// A client cannot tell why it was refused: the error's visible part is the same
// for every cause, and an unknown user's exchange goes as far as a known one's.
func TestRefusalsLookAlike(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t)
	known := parse(t, scramStored(t, "other", []byte("0123456789abcdef")))
	for _, method := range []auth.Method{auth.MethodPassword, auth.MethodMD5, auth.MethodSCRAM} {
		for _, c := range []struct {
			secret auth.Secret
			known  bool
			cause  error
		}{
			{known, true, auth.ErrWrongPassword},
			{auth.PlainSecret(user, "other"), true, auth.ErrWrongPassword},
			{auth.Secret{}, true, auth.ErrNoSecret},
			{auth.Secret{}, false, auth.ErrUnknownUser},
			{auth.PlainSecret(user, password), false, auth.ErrUnknownUser},
		} {
			x := a.NewExchange(method, user, c.secret, c.known)
			err, client := converse(t, x, auth.NewLogin(user, auth.PasswordCredentials(user, password), rand.Reader))
			e, ok := errors.AsType[*auth.Error](err)
			if !ok || client != nil {
				t.Fatalf("%v: %v, %v", method, err, client)
			}
			if e.Code != "28P01" || e.Message != `password authentication failed for user "alice"` || e.Detail != "" || e.Hint != "" {
				t.Errorf("%v: %+v", method, *e)
			}
			if !errors.Is(err, c.cause) {
				t.Errorf("%v: cause is %v, want %v", method, e.Err, c.cause)
			}
		}
	}
}

// serverFirst returns the salt and iteration count an exchange shows.
func serverFirst(t testing.TB, x *auth.Exchange) string {
	if _, _, err := x.Start(); err != nil {
		t.Fatal(err)
	}
	reply, _, err := x.Step(payload(t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=abc")}))
	if err != nil {
		t.Fatal(err)
	}
	text := string(reply.(*pgproto3.AuthenticationSASLContinue).Data)
	return text[strings.Index(text, ",s="):]
}

// Mock salts are as stable as real ones, differ by user and by process, and
// look like those of secrets stored in clear.
func TestMockSalts(t *testing.T) {
	t.Parallel()
	a, b := newAuthenticator(t), newAuthenticator(t)
	mock := func(a *auth.Authenticator, user string) string {
		return serverFirst(t, a.NewExchange(auth.MethodSCRAM, user, auth.Secret{}, false))
	}
	if x, y := mock(a, "u"), mock(a, "u"); x != y {
		t.Errorf("%s then %s", x, y)
	}
	if mock(a, "u") == mock(a, "v") || mock(a, "u") == mock(b, "u") {
		t.Error("salts repeat")
	}
	if x, y := mock(a, "u"), serverFirst(t, a.NewExchange(auth.MethodSCRAM, "u", auth.PlainSecret("u", "x"), true)); x != y {
		t.Errorf("clear text shows %s, an unknown user of that name %s", y, x)
	}
}

// Each row is a whole dialogue of broken client messages; the last must be refused.
func TestExchangeMalformed(t *testing.T) {
	t.Parallel()
	initial := func(mechanism, data string) string {
		m, err := (&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(data)}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(m[5:])
	}
	first := func(data string) []string { return []string{initial("SCRAM-SHA-256", data)} }
	final := func(data string) []string { return append(first("n,,n=,r=abc"), data) }
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	const noneYet = "\x00"
	for _, c := range []struct {
		name   string
		method auth.Method
		steps  []string // NONCE stands for the server's
		code   string
		text   string
	}{
		{"no payload", auth.MethodPassword, []string{""}, "08P01", "invalid password packet size"},
		{"no terminator", auth.MethodPassword, []string{"abc"}, "08P01", "invalid password packet size"},
		{"two strings", auth.MethodPassword, []string{"abc\x00def\x00"}, "08P01", "invalid password packet size"},
		{"empty password", auth.MethodPassword, []string{noneYet}, "28P01", "empty password"},
		{"too long", auth.MethodPassword, []string{strings.Repeat("x", 70_000)}, "08P01", "too long"},
		{"md5 without terminator", auth.MethodMD5, []string{"md5"}, "08P01", "invalid password packet size"},
		{"sasl empty", auth.MethodSCRAM, []string{""}, "08P01", "invalid SASLInitialResponse"},
		{"sasl without length", auth.MethodSCRAM, []string{"SCRAM-SHA-256\x00\x00\x00"}, "08P01", "invalid SASLInitialResponse"},
		{"sasl length too big", auth.MethodSCRAM, []string{"SCRAM-SHA-256\x00\x7f\xff\xff\xffn"}, "08P01", "invalid SASLInitialResponse"},
		{"sasl length negative", auth.MethodSCRAM, []string{"SCRAM-SHA-256\x00\xff\xff\xff\xfen"}, "08P01", "invalid SASLInitialResponse"},
		{"sasl length -1 with data", auth.MethodSCRAM, []string{"SCRAM-SHA-256\x00\xff\xff\xff\xffn"}, "08P01", "invalid SASLInitialResponse"},
		{"plus", auth.MethodSCRAM, []string{initial("SCRAM-SHA-256-PLUS", "n,,n=,r=a")}, "08P01", "invalid SASL authentication mechanism"},
		{"empty data", auth.MethodSCRAM, first(""), "08P01", "The message is empty."},
		{"long data", auth.MethodSCRAM, first("n,,n=,r=" + strings.Repeat("a", 1100)), "08P01", "longer than 1024"},
		{"zero byte", auth.MethodSCRAM, first("n,,n=,r=a\x00"), "08P01", "Message length does not match"},
		{"binding asked for", auth.MethodSCRAM, first("p=tls-unique,,n=,r=a"), "08P01", "channel binding data"},
		{"strange flag", auth.MethodSCRAM, first("x,,n=,r=a"), "08P01", "Unexpected channel-binding flag"},
		{"flag with tail", auth.MethodSCRAM, first("nn,,n=,r=a"), "08P01", "Unexpected channel-binding flag"},
		{"no comma", auth.MethodSCRAM, first("n"), "08P01", "Comma expected"},
		{"one comma", auth.MethodSCRAM, first("n,"), "08P01", "Comma expected"},
		{"authzid", auth.MethodSCRAM, first("n,a=bob,n=,r=a"), "0A000", "authorization identity"},
		{"extension", auth.MethodSCRAM, first("n,,m=x,n=,r=a"), "0A000", "unsupported SCRAM extension"},
		{"no name", auth.MethodSCRAM, first("n,,r=a"), "08P01", `Attribute "n" expected`},
		{"no nonce", auth.MethodSCRAM, first("n,,n="), "08P01", `Attribute "r" expected`},
		{"empty nonce", auth.MethodSCRAM, first("n,,n=,r="), "08P01", "nonce"},
		{"binary nonce", auth.MethodSCRAM, first("n,,n=,r=\x7f"), "08P01", "nonce"},
		{"junk after nonce", auth.MethodSCRAM, first("n,,n=,r=a,!"), "08P01", "Attribute expected"},
		{"final empty", auth.MethodSCRAM, final(""), "08P01", "The message is empty."},
		{"final without binding", auth.MethodSCRAM, final("r=NONCE,p=" + proof), "08P01", `Attribute "c" expected`},
		{"final with another header", auth.MethodSCRAM, final("c=eSws,r=NONCE,p=" + proof), "08P01", "channel-binding attribute"},
		{"wrong nonce", auth.MethodSCRAM, final("c=biws,r=abcd,p=" + proof), "08P01", "Nonce does not match"},
		{"only our nonce", auth.MethodSCRAM, final("c=biws,r=abc,p=" + proof), "08P01", "Nonce does not match"},
		{"no proof", auth.MethodSCRAM, final("c=biws,r=NONCE"), "08P01", "Attribute expected"},
		{"short proof", auth.MethodSCRAM, final("c=biws,r=NONCE,p=" + proof[:40]), "08P01", "Malformed proof"},
		{"bad base64", auth.MethodSCRAM, final("c=biws,r=NONCE,p=" + strings.Repeat("!", 44)), "08P01", "Malformed proof"},
		{"garbage after proof", auth.MethodSCRAM, final("c=biws,r=NONCE,p=" + proof + ",x=y"), "08P01", "Garbage"},
		{"zero proof", auth.MethodSCRAM, final("c=biws,r=NONCE,x=ext,p=" + proof), "28P01", "password authentication failed"},
		{"after the end", auth.MethodSCRAM, append(final("c=biws,r=NONCE,p="+proof), "c=biws,r=NONCE,p="+proof), "08P01", "unexpected authentication message"},
	} {
		secret := auth.PlainSecret(user, password)
		x := newAuthenticator(t).NewExchange(c.method, user, secret, true)
		if _, _, err := x.Start(); err != nil {
			t.Fatal(err)
		}
		var err error
		nonce := ""
		for _, step := range c.steps {
			var reply pgproto3.BackendMessage
			reply, _, err = x.Step([]byte(strings.ReplaceAll(step, "NONCE", nonce)))
			if m, ok := reply.(*pgproto3.AuthenticationSASLContinue); ok {
				nonce, _, _ = strings.Cut(strings.TrimPrefix(string(m.Data), "r="), ",")
			}
		}
		e, ok := errors.AsType[*auth.Error](err)
		if !ok || e.Code != c.code || !strings.Contains(e.Error(), c.text) {
			t.Errorf("%s: got %v, want %s with %q", c.name, err, c.code, c.text)
		}
		if x.Credentials().String() != "credentials(none)" {
			t.Errorf("%s: learned %v", c.name, x.Credentials())
		}
	}
}

// A client may leave the first message out of SASLInitialResponse, and may say
// "y": it could bind channels but thinks the server cannot.
func TestExchangeLateFirstMessage(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789abcdef")
	x := newAuthenticator(t).NewExchange(auth.MethodSCRAM, user, parse(t, scramStored(t, password, salt)), true)
	x.Start()
	reply, done, err := x.Step([]byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"))
	if m, ok := reply.(*pgproto3.AuthenticationSASLContinue); !ok || len(m.Data) != 0 || done || err != nil {
		t.Fatalf("got %v, %v, %v, want an empty challenge", reply, done, err)
	}
	reply, _, err = x.Step([]byte("y,,n=ignored,r=abc,x=extension"))
	if err != nil {
		t.Fatal(err)
	}
	first := string(reply.(*pgproto3.AuthenticationSASLContinue).Data)
	nonce, _, _ := strings.Cut(first, ",")
	withoutProof := "c=eSws," + nonce + ",x=more"
	proof, signature, err := auth.Proof(password, salt, 4096, "n=ignored,r=abc,x=extension,"+first+","+withoutProof)
	if err != nil {
		t.Fatal(err)
	}
	reply, done, err = x.Step([]byte(withoutProof + ",p=" + proof))
	if err != nil || !done {
		t.Fatalf("got %v, %v", done, err)
	}
	if got, want := string(reply.(*pgproto3.AuthenticationSASLFinal).Data), "v="+signature; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A storm of logins derives the keys of a clear-text secret once, and strangers'
// salts cannot make it keep more than a few.
func TestDerivedKeysAreKept(t *testing.T) {
	t.Parallel()
	a, secret := newAuthenticator(t), auth.PlainSecret(user, password)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			x := a.NewExchange(auth.MethodSCRAM, user, secret, true)
			if server, client := converse(t, x, auth.NewLogin(user, secret.Credentials(), rand.Reader)); server != nil || client != nil {
				t.Error(server, client)
			}
		})
	}
	wg.Wait()
	if got := secret.Derivations(); got != 1 {
		t.Errorf("%d derivations, want 1", got)
	}
	for i := range 3 * auth.MaxDerived {
		other := parse(t, scramStored(t, password, fmt.Appendf(nil, "salt %d", i)))
		x := a.NewExchange(auth.MethodSCRAM, user, other, true)
		if server, client := converse(t, x, auth.NewLogin(user, secret.Credentials(), rand.Reader)); server != nil || client != nil {
			t.Error(server, client)
		}
	}
	if got := secret.Derivations(); got != auth.MaxDerived {
		t.Errorf("%d derivations kept, want %d", got, auth.MaxDerived)
	}
}

func TestBrokenRandom(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewAuthenticator(bytes.NewReader(nil)); err == nil {
		t.Error("authenticator without random bytes")
	}
	for _, method := range []auth.Method{auth.MethodMD5, auth.MethodSCRAM} {
		a, err := auth.NewAuthenticator(bytes.NewReader(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		server, _ := converse(t, a.NewExchange(method, user, auth.PlainSecret(user, password), true), auth.NewLogin(user, auth.PasswordCredentials(user, password), rand.Reader))
		if e, ok := errors.AsType[*auth.Error](server); !ok || e.Code != "XX000" {
			t.Errorf("%v: got %v", method, server)
		}
	}
}

func BenchmarkLoginPlainSecret(b *testing.B) {
	a, secret := newAuthenticator(b), auth.PlainSecret(user, password)
	for b.Loop() {
		converse(b, a.NewExchange(auth.MethodSCRAM, user, secret, true), auth.NewLogin(user, secret.Credentials(), rand.Reader))
	}
}

func FuzzExchangeStep(f *testing.F) {
	for method := range uint8(5) {
		f.Add(method, []byte("md5x\x00"), []byte(""))
		f.Add(method, []byte("SCRAM-SHA-256\x00\x00\x00\x00\x0bn,,n=,r=abc"), []byte("c=biws,r=abc,p="+base64.StdEncoding.EncodeToString(make([]byte, 32))))
		f.Add(method, []byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"), []byte("y,,n=,r=abc,x=y"))
	}
	a := newAuthenticator(f)
	secrets := []auth.Secret{{}, auth.PlainSecret(user, password), parse(f, md5Stored(user, password)), parse(f, verifierSample)}
	f.Fuzz(func(t *testing.T, kind uint8, first, second []byte) {
		x := a.NewExchange(auth.Method(kind%5), user, secrets[int(kind/5)%len(secrets)], kind < 128)
		if _, done, err := x.Start(); done || err != nil {
			return
		}
		for _, step := range [][]byte{first, second, first} {
			_, done, err := x.Step(step)
			if done && err == nil && !bytes.Contains(step, []byte(password)) {
				t.Fatal("let in without the password")
			}
			if _, ok := errors.AsType[*auth.Error](err); err != nil && !ok {
				t.Fatalf("%T is not an *auth.Error", err)
			}
			if err != nil {
				break
			}
		}
	})
}
