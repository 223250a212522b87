package core

import (
	"errors"
	"testing"
)

// FuzzApply: no command, however broken, does harm; an error leaves the state as it was, and
// what comes out can be stored and read again.
func FuzzApply(f *testing.F) {
	for _, text := range []string{
		`{"kind":"member.set","epoch":0,"body":{"id":"p1","member":{"address":"a","role":"proxy","priority":1,"level":1}}}`,
		`{"kind":"primary.record","epoch":0,"body":{"primary":{"node":"d1"},"reason":"found"}}`,
		`{"kind":"failover.begin","epoch":1,"body":{"from":"d1","reason":"dead","votes":[{"from":"p1","sight":"down"}]}}`,
		`{"kind":"failover.bar","epoch":1,"failover":3}`, `{"kind":"beat","epoch":0}`, `{"kind":"x"}`, `{}{}`, ``,
	} {
		f.Add([]byte(text), uint64(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, epoch uint64) {
		s := (&State{Epoch: epoch % 3, Primary: Primary{Node: "d1"}, Failover: Failover{Phase: Phase(epoch % 4), ID: 3, From: "d1"}}).clone()
		before, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		next, err := Builtin().Apply(s, 7, text)
		if after, err := s.Encode(); err != nil || string(after) != string(before) {
			t.Fatalf("the old state was changed: %s to %s (%v)", before, after, err)
		}
		if err != nil && (next != s || !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnknownCommand)) {
			t.Fatalf("an error of no kind, or another state: %v", err)
		}
		stored, err := next.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodeState(stored)
		if err != nil {
			t.Fatalf("%s: %v", stored, err)
		}
		if again, err := read.Encode(); err != nil || string(again) != string(stored) {
			t.Fatalf("%s is read as %s (%v)", stored, again, err)
		}
	})
}
