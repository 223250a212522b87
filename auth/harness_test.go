package auth_test

import (
	"crypto/rand"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
)

func newAuthenticator(t testing.TB) *auth.Authenticator {
	a, err := auth.NewAuthenticator(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// payload encodes a message and takes off type and length, as a frame reader would.
func payload(t testing.TB, m pgproto3.Message) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b[5:]
}

// converse lets howdah log in to howdah, and returns each side's error.
func converse(t testing.TB, x *auth.Exchange, l *auth.Login) (server, client error) {
	msg, done, err := x.Start()
	for range 10 {
		if err != nil {
			return err, nil
		}
		var reply pgproto3.FrontendMessage
		if msg != nil {
			if reply, _, err = l.Step(payload(t, msg)); err != nil {
				return nil, err
			}
		}
		if done {
			_, ok, err := l.Step(payload(t, &pgproto3.AuthenticationOk{}))
			if err == nil && !ok {
				t.Error("AuthenticationOk does not end the login")
			}
			return nil, err
		}
		if reply == nil {
			t.Fatalf("no reply to %T", msg)
		}
		msg, done, err = x.Step(payload(t, reply))
	}
	t.Fatal("the exchange does not end")
	return nil, nil
}
