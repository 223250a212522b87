package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
)

func TestParseSecretKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stored string
		want   auth.Kind
	}{
		{"", auth.KindNone},
		{"hello", auth.KindPlain},
		{"md5short", auth.KindPlain},
		{"md5" + strings.Repeat("0", 32), auth.KindMD5},
		{"md5" + strings.Repeat("G", 32), auth.KindPlain}, // not hex: PostgreSQL, too, takes it for clear text
		{"MD5" + strings.Repeat("0", 32), auth.KindPlain},
	} {
		s, err := auth.ParseSecret("u", c.stored)
		if err != nil {
			t.Errorf("%q: %v", c.stored, err)
		}
		if got := s.Kind(); got != c.want {
			t.Errorf("%q: kind %v, want %v", c.stored, got, c.want)
		}
	}
	for _, stored := range []string{"a\x00b", strings.Repeat("x", 5000)} {
		if _, err := auth.ParseSecret("u", stored); err == nil {
			t.Errorf("%.10q: no error", stored)
		}
	}
}

// Nothing that prints values may print a secret: not fmt with any verb, not
// from inside private fields, where fmt cannot call methods.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const clear = "sesame-open"
	plain := auth.PlainSecret("u", clear)
	const hash = "0123456789abcdef0123456789abcdef"
	md5, err := auth.ParseSecret("u", "md5"+hash)
	if err != nil {
		t.Fatal(err)
	}
	type private struct {
		s  auth.Secret
		c  auth.Credentials
		ss []auth.Secret
		m  map[string]auth.Credentials
		x  *auth.Exchange
		l  *auth.Login
	}
	a := newAuthenticator(t)
	key := bytes.Repeat([]byte{0xA7}, 32)
	key64 := base64.StdEncoding.EncodeToString(key)
	scram, err := auth.ParseSecret("u", "SCRAM-SHA-256$4096:c2FsdA==$"+key64+":"+key64)
	if err != nil {
		t.Fatal(err)
	}
	started := a.NewExchange(auth.MethodSCRAM, "u", scram, true) // holds the verifier by now
	started.Start()
	if _, _, err := started.Step(payload(t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=abc")})); err != nil {
		t.Fatal(err)
	}
	for _, s := range []auth.Secret{plain, md5, scram} {
		c := s.Credentials()
		p := private{s, c, []auth.Secret{s}, map[string]auth.Credentials{"k": c},
			a.NewExchange(auth.MethodMD5, "u", s, true), auth.NewLogin("u", c, nil)}
		for _, v := range []any{s, &s, c, &c, p, &p, []any{s, c}, *p.x, p.x, *p.l, p.l, a, *a, started, *started} {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%t", "%p"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
			if b, err := json.Marshal(v); err == nil {
				out.Write(b)
			}
			text := strings.ToLower(out.String())
			for _, leak := range []string{clear, fmt.Sprintf("%x", clear), hash, fmt.Sprintf("%x", hash), strings.Trim(fmt.Sprint([]byte(clear)), "[]"), "a7a7a7", "167 167 167", "0xa7, 0xa7", strings.ToLower(key64[:8])} {
				if strings.Contains(text, leak) {
					t.Errorf("%T shows the secret as %q:\n%s", v, leak, text)
				}
			}
		}
	}
}
