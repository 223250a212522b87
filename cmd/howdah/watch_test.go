package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// --watch goes on while howdah restarts, and ends with what is no matter of time.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := 0
		err := watch(t.Context(), &out, "one\n", func() (string, error) {
			n++
			switch n {
			case 1:
				return "", &unreachable{errors.New("connection refused")}
			case 2:
				return "two\n", nil
			}
			return "", errors.New("authentication failed")
		})
		if err == nil || err.Error() != "authentication failed" {
			t.Errorf("got %v", err)
		}
		if want := "one\nhowdah does not answer: connection refused\ntwo\n"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Error("what is no terminal gets a terminal's codes")
		}
	})
}
