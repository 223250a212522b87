package auth_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/howdah/howdah/auth"
)

// The example exchange of RFC 7677 section 3.
func TestRFC7677(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	message := "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonce
	proof, signature, err := auth.Proof("pencil", salt, 4096, message)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="; got != want {
		t.Errorf("proof %s, want %s", got, want)
	}
	if got, want := signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestSASLPrep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"plain ascii \x07", "plain ascii \x07"},
		{"I\u00adX", "IX"},               // soft hyphen: mapped to nothing
		{"\u2168", "IX"},                 // compatibility form
		{"a\u00a0b", "a b"},              // non-ASCII space
		{"a\u200bb", "a b"},              // both a space and nothing: PostgreSQL makes it a space
		{"\u00ad", "\u00ad"},             // nothing left: raw
		{"\u0627\u0031", "\u0627\u0031"}, // breaks the bidi rule: raw
		{"\u2168\u0007", "\u2168\u0007"}, // prohibited character: raw, not half prepared
		{"\u2168\U0001F418", "\u2168\U0001F418"},
		{"\u2168\xff", "\u2168\xff"}, // not UTF-8: raw
	} {
		if got := auth.SASLPrep(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestBrokenVerifiers(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	good := "SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key
	if s, err := auth.ParseSecret("u", good); err != nil || s.Kind() != auth.KindSCRAM {
		t.Fatalf("good verifier: %v, %v", s, err)
	}
	if _, err := auth.ParseSecret("u", strings.Replace(good, "4096", "1000000", 1)); err != nil {
		t.Errorf("most iterations: %v", err)
	}
	for _, stored := range []string{
		"SCRAM-SHA-256$",
		"SCRAM-SHA-256$4096:c2FsdA==",
		strings.Replace(good, "4096", "0", 1),
		strings.Replace(good, "4096", "-1", 1),
		strings.Replace(good, "4096", "+4096", 1),
		strings.Replace(good, "4096", "1000001", 1),
		strings.Replace(good, "4096", "99999999999999999999", 1),
		strings.Replace(good, "4096", "", 1),
		strings.Replace(good, "c2FsdA==", "", 1),
		strings.Replace(good, "c2FsdA==", "c2Fsd", 1),
		good + "A",
		good[:len(good)-4],
	} {
		_, err := auth.ParseSecret("u", stored)
		if err == nil {
			t.Errorf("%s: no error", stored)
		} else if strings.Contains(fmt.Sprint(err), key[:8]) {
			t.Errorf("error shows the secret: %v", err)
		}
	}
}
