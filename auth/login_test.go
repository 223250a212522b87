package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
)

// learnedKeys logs a client in by SCRAM to get what howdah then knows.
func learnedKeys(t testing.TB, salt []byte) auth.Credentials {
	x := newAuthenticator(t).NewExchange(auth.MethodSCRAM, user, parse(t, scramStored(t, password, salt)), true)
	if server, client := converse(t, x, auth.NewLogin(user, auth.PasswordCredentials(user, password), rand.Reader)); server != nil || client != nil {
		t.Fatal(server, client)
	}
	return x.Credentials()
}

// Each kind of knowledge against each kind of server.
func TestLoginCombinations(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789abcdef")
	scram, otherSalt := parse(t, scramStored(t, password, salt)), parse(t, scramStored(t, password, []byte("other")))
	hashed, plain := parse(t, md5Stored(user, password)), auth.PlainSecret(user, password)
	creds := map[string]auth.Credentials{
		"none": {}, "password": plain.Credentials(), "md5": hashed.Credentials(), "keys": learnedKeys(t, salt), "wrong": auth.PasswordCredentials(user, "wrong"),
	}
	servers := []struct {
		name   string
		method auth.Method
		secret auth.Secret
		want   map[string]string // refusal by creds; absent lets in
	}{
		{"trust", auth.MethodTrust, auth.Secret{}, nil},
		{"password", auth.MethodPassword, scram, map[string]string{
			"none":  `client: server asked for method password, howdah knows no password for user "alice"`,
			"md5":   `client: server asked for method password, howdah knows only the MD5 hash of the password of user "alice"`,
			"keys":  `client: server asked for method password, howdah knows only the SCRAM keys of user "alice"`,
			"wrong": `server: password authentication failed for user "alice"`}},
		{"md5", auth.MethodMD5, hashed, map[string]string{
			"none":  `client: server asked for method md5, howdah knows no password for user "alice"`,
			"keys":  `client: server asked for method md5, howdah knows only the SCRAM keys of user "alice"`,
			"wrong": `server: password authentication failed for user "alice"`}},
		{"scram", auth.MethodSCRAM, scram, map[string]string{
			"none":  `client: server asked for method scram-sha-256, howdah knows no password for user "alice"`,
			"md5":   `client: server asked for method scram-sha-256, howdah knows only the MD5 hash of the password of user "alice"`,
			"wrong": `server: password authentication failed for user "alice"`}},
		{"scram with another salt", auth.MethodSCRAM, otherSalt, map[string]string{
			"none":  `client: server asked for method scram-sha-256, howdah knows no password for user "alice"`,
			"md5":   `client: server asked for method scram-sha-256, howdah knows only the MD5 hash of the password of user "alice"`,
			"keys":  `client: server's SCRAM verifier of user "alice" is not the one howdah learned the keys for`,
			"wrong": `server: password authentication failed for user "alice"`}},
	}
	a := newAuthenticator(t)
	for _, s := range servers {
		for name, c := range creds {
			server, client := converse(t, a.NewExchange(s.method, user, s.secret, true), auth.NewLogin(user, c, rand.Reader))
			got := ""
			if e, ok := errors.AsType[*auth.Error](client); ok {
				got = "client: " + e.Message
				if e.Code != "28P01" || e.Hint == "" {
					t.Errorf("%s, %s: code %s, hint %q", s.name, name, e.Code, e.Hint)
				}
			} else if e, ok := errors.AsType[*auth.Error](server); ok {
				got = "server: " + e.Message
			}
			if got != s.want[name] {
				t.Errorf("%s, %s: got %q, want %q", s.name, name, got, s.want[name])
			}
		}
	}
}

// request makes the payload of an 'R' message.
func request(code uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, code), body...)
}

// Servers that break the protocol, or pretend: the last message must be refused.
func TestLoginBadServers(t *testing.T) {
	t.Parallel()
	const sasl = "SCRAM-SHA-256\x00\x00"
	salt64 := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	for _, c := range []struct {
		name  string
		steps []string // raw payloads, after the code; NONCE stands for ours
		codes []uint32
		want  string
	}{
		{"short", []string{""}, []uint32{99}, "28000 server asked for authentication method 99"},
		{"ok with a body", []string{"x"}, []uint32{0}, "28000 server asked for authentication method 0"},
		{"gss", []string{""}, []uint32{7}, "28000 server asked for authentication method GSSAPI"},
		{"sspi", []string{""}, []uint32{9}, "28000 server asked for authentication method SSPI"},
		{"kerberos", []string{""}, []uint32{2}, "28000 server asked for authentication method Kerberos V5"},
		{"md5 salt", []string{"abc"}, []uint32{5}, "08P01 server broke"},
		{"no mechanism", []string{"\x00"}, []uint32{10}, "28000 server offers no SASL mechanism"},
		{"mechanisms that begin with nothing", []string{"\x00\x00SCRAM-SHA-256\x00"}, []uint32{10}, "28000 server offers no SASL mechanism"},
		{"unterminated mechanism", []string{"SCRAM-SHA-25"}, []uint32{10}, "28000 server offers no SASL mechanism"},
		{"only plus", []string{"SCRAM-SHA-256-PLUS\x00\x00"}, []uint32{10}, "28000 server offers no SASL mechanism"},
		{"continue first", []string{"x"}, []uint32{11}, "28000 server asked"},
		{"asks twice", []string{"", ""}, []uint32{3, 3}, "08P01 server broke"},
		{"asks for clear text in the middle", []string{sasl, ""}, []uint32{10, 3}, "08P01 server broke"},
		{"ok in the middle", []string{sasl, ""}, []uint32{10, 0}, "08P01 server broke"},
		{"ok instead of its proof", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=4096", ""}, []uint32{10, 11, 0}, "08P01 server broke"},
		{"wrong proof", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=4096", "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))}, []uint32{10, 11, 12}, "28000 server did not prove"},
		{"short proof", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=4096", "v=" + base64.StdEncoding.EncodeToString(make([]byte, 31))}, []uint32{10, 11, 12}, "28000 server did not prove"},
		{"empty proof", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=4096", ""}, []uint32{10, 11, 12}, "08P01 server broke"},
		{"refusal", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=4096", "e=invalid-proof"}, []uint32{10, 11, 12}, "28P01 password authentication failed"},
		{"another nonce", []string{sasl, "r=abc,s=" + salt64 + ",i=4096"}, []uint32{10, 11}, "08P01 server broke"},
		{"only our nonce", []string{sasl, "r=NONCE,s=" + salt64 + ",i=4096"}, []uint32{10, 11}, "08P01 server broke"},
		{"endless nonce", []string{sasl, "r=NONCE" + strings.Repeat("x", 60_000) + ",s=" + salt64 + ",i=4096"}, []uint32{10, 11}, "08P01 server broke"},
		{"no salt", []string{sasl, "r=NONCEx,s=,i=4096"}, []uint32{10, 11}, "08P01 server broke"},
		{"no iterations", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=0"}, []uint32{10, 11}, "08P01 server broke"},
		{"a billion iterations", []string{sasl, "r=NONCEx,s=" + salt64 + ",i=1000000000"}, []uint32{10, 11}, "08P01 server broke"},
		{"empty first message", []string{sasl, ""}, []uint32{10, 11}, "08P01 server broke"},
		{"after the end", []string{"", ""}, []uint32{0, 0}, "08P01 server broke"},
	} {
		l := auth.NewLogin(user, auth.PasswordCredentials(user, password), rand.Reader)
		var err error
		nonce := ""
		for i, step := range c.steps {
			if err != nil {
				t.Fatalf("%s: refused too early: %v", c.name, err)
			}
			var reply pgproto3.FrontendMessage
			reply, _, err = l.Step(request(c.codes[i], strings.ReplaceAll(step, "NONCE", nonce)))
			if m, ok := reply.(*pgproto3.SASLInitialResponse); ok {
				_, nonce, _ = strings.Cut(string(m.Data), "r=")
			}
		}
		e, ok := errors.AsType[*auth.Error](err)
		if !ok {
			t.Errorf("%s: got %v", c.name, err)
		} else if got := e.Code + " " + e.Message; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	for _, payload := range [][]byte{nil, {0, 0, 0}, make([]byte, 70_000)} {
		if _, _, err := auth.NewLogin(user, auth.Credentials{}, rand.Reader).Step(payload); err == nil {
			t.Errorf("%d bytes: no error", len(payload))
		}
	}
}

func FuzzLoginStep(f *testing.F) {
	keys := learnedKeys(f, []byte("0123456789abcdef"))
	creds := []auth.Credentials{{}, auth.PasswordCredentials(user, password), parse(f, md5Stored(user, password)).Credentials(), keys}
	for kind := range uint8(4) {
		f.Add(kind, request(10, "SCRAM-SHA-256\x00\x00"), request(11, "r=NONCEx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=1"), request(12, "v=x"))
		f.Add(kind, request(5, "abcd"), request(0, ""), request(0, ""))
		f.Add(kind, request(3, ""), request(0, ""), request(7, "x"))
	}
	f.Fuzz(func(t *testing.T, kind uint8, first, second, third []byte) {
		l := auth.NewLogin(user, creds[int(kind)%len(creds)], rand.Reader)
		sasl, nonce := false, []byte(nil)
		for _, step := range [][]byte{first, second, third} {
			step = bytes.ReplaceAll(step, []byte("NONCE"), nonce)
			reply, done, err := l.Step(step)
			if _, ok := errors.AsType[*auth.Error](err); err != nil && !ok {
				t.Fatalf("%T is not an *auth.Error", err)
			}
			if m, ok := reply.(*pgproto3.SASLInitialResponse); ok {
				sasl = true
				_, nonce, _ = bytes.Cut(m.Data, []byte("r="))
			}
			if done && sasl {
				t.Fatal("done with a server that cannot know the password")
			}
			if done || err != nil {
				break
			}
		}
	})
}
