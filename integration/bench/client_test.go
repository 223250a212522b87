package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	if got, want := string(queryMessage("SELECT 1")), "Q\x00\x00\x00\x0dSELECT 1\x00"; got != want {
		t.Errorf("query: got %q, want %q", got, want)
	}
	got, want := string(startupMessage("u", "db")), "\x00\x00\x00\x1c\x00\x03\x00\x00user\x00u\x00database\x00db\x00\x00"
	if got != want {
		t.Errorf("startup: got %q, want %q", got, want)
	}
}

func TestReadUntilReady(t *testing.T) {
	t.Parallel()
	const (
		ok      = "R\x00\x00\x00\x08\x00\x00\x00\x00"
		notice  = "N\x00\x00\x00\x05\x00"
		ready   = "Z\x00\x00\x00\x05I"
		refusal = "E\x00\x00\x00\x1dSFATAL\x00C53300\x00Mtoo many\x00\x00"
	)
	for name, row := range map[string]struct {
		bytes, want string // want is part of the error; empty means none
	}{
		"login":         {ok + notice + ready, ""},
		"refused":       {refusal, "53300 too many"},
		"query error":   {refusal + ready, "53300 too many"},
		"password":      {"R\x00\x00\x00\x08\x00\x00\x00\x03", "asks for a password"},
		"cut short":     {ok + "Z\x00\x00", "unexpected EOF"},
		"absurd length": {"Z\x7f\xff\xff\xff", "bytes"},
	} {
		err := readUntilReady(bufio.NewReader(strings.NewReader(row.bytes)))
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: got %v, want %q in it", name, err, row.want)
		}
	}
}

func FuzzReadUntilReady(f *testing.F) {
	f.Add([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"))
	f.Add([]byte("E\x00\x00\x00\x06C1"))
	f.Add([]byte("R\x00\x00\x00\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := readUntilReady(bufio.NewReader(bytes.NewReader(b))); err == nil && !bytes.Contains(b, []byte{'Z'}) {
			t.Error("ready without ReadyForQuery")
		}
	})
}
