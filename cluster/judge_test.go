package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestJudge(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("connect: %w", errors.Join(&net.OpError{Op: "dial", Net: "tcp", Err: err}))
	}
	tests := []struct {
		err  error
		want evidence
		why  string
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), evidenceRefused, "connection refused"},
		{dial(os.NewSyscallError("connect", syscall.ENOENT)), evidenceRefused, "no such file"},
		{dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), evidenceRefused, "no route to host"},
		{dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), evidenceSilent, "timed out"},
		{dial(context.DeadlineExceeded), evidenceSilent, "in time"},
		{dial(&net.DNSError{Err: "no such host", Name: "nowhere"}), evidenceRefused, "nowhere"},
		{io.ErrUnexpectedEOF, evidenceRefused, "unexpected EOF"},
		{errors.New("two\n\tlines"), evidenceRefused, "two lines"},
		{&pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}, evidenceStarting, "starting up"},
		{&pgconn.PgError{Code: "57P01", Message: "terminating"}, evidenceRefused, "terminating"},
		{&pgconn.PgError{Code: "53300", Message: "too many"}, evidenceLogin, "replication_check.user"},
		{&pgconn.PgError{Code: "28P01", Message: "no"}, evidenceLogin, "replication_check.password"},
		{&pgconn.PgError{Code: "28000", Message: "no"}, evidenceLogin, "replication_check.user"},
		{&pgconn.PgError{Code: "3D000", Message: "no"}, evidenceLogin, "replication_check.database"},
		{&pgconn.PgError{Code: "42501", Message: "no"}, evidenceLogin, "pg_monitor"},
	}
	for _, test := range tests {
		got, why := judge(test.err)
		if got != test.want || !strings.Contains(why, test.why) || strings.Contains(why, "\n") {
			t.Errorf("judge(%v) = %d, %q; want %d, …%s…", test.err, got, why, test.want, test.why)
		}
	}
}

func TestParseLSN(t *testing.T) {
	for _, s := range []string{"0/0", "0/16B3748", "A/FFFFFFFF", "FFFFFFFF/1"} {
		lsn, err := ParseLSN(s)
		if err != nil || lsn.String() != s {
			t.Errorf("ParseLSN(%q) = %v, %v", s, lsn, err)
		}
	}
	for _, s := range []string{"", "/", "0", "0/", "x/0", "0/100000000", "0/0/0", "-1/0"} {
		if lsn, err := ParseLSN(s); err == nil {
			t.Errorf("ParseLSN(%q) = %v, want an error", s, lsn)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := configs.Backend{Name: "a", Host: "h", Port: 5432, Weight: 1}
	with := func(change func(*configs.Backend)) []configs.Backend {
		b := ok
		change(&b)
		return []configs.Backend{b}
	}
	check := configs.Default().ReplicationCheck
	tests := []struct {
		name     string
		backends []configs.Backend
		want     string
	}{
		{"none", nil, "none is configured"},
		{"twice", []configs.Backend{ok, ok}, "two are named"},
		{"no name", with(func(b *configs.Backend) { b.Name = "" }), "no name"},
		{"no host", with(func(b *configs.Backend) { b.Host = "" }), "no host"},
		{"port", with(func(b *configs.Backend) { b.Port = 70000 }), "port 70000"},
		{"weight", with(func(b *configs.Backend) { b.Weight = -1 }), "weight -1"},
	}
	for _, test := range tests {
		if _, err := New(test.backends, check, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want …%s…", test.name, err, test.want)
		}
	}
	if _, err := New([]configs.Backend{ok}, configs.ReplicationCheck{}, nil); err == nil {
		t.Error("no interval was accepted")
	}
}
