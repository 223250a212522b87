package pool_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

func TestFailedLogins(t *testing.T) {
	welcome := wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x00")
	notice := wire.AppendNotice(nil, "NOTICE", &wire.Error{Code: "00000", Message: "x"})
	var notices []byte
	for range 10_000 {
		notices = append(notices, notice...)
	}
	for _, tc := range []struct {
		name  string
		greet []byte
		want  string
	}{
		{"refused", wire.AppendError(nil, "FATAL", &wire.Error{Code: "53300", Message: "full"}), "refused 53300"},
		{"refused after success", append(welcome[:len(welcome):len(welcome)], wire.AppendError(nil, "FATAL", &wire.Error{Code: "3D000", Message: "no such database"})...), "refused 3D000"},
		{"refused without a code", wire.AppendMessage(nil, wire.ErrorResponse), "refused "},
		{"closed", []byte{}, "unreachable"},
		{"garbage", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "unreachable"},
		{"old error", []byte("EFATAL: no\n\x00"), "unreachable"},
		{"half a message", []byte{'R', 0, 0, 0, 8, 0}, "unreachable"},
		{"too long a message", []byte{'R', 0, 0x10, 0, 0}, "unreachable"},
		{"endless notices", notices, "unreachable"},
		{"cancel key of 2 bytes", append(welcome[:len(welcome):len(welcome)], wire.AppendMessage(nil, wire.BackendKeyData, "12")...), "unreachable"},
		{"rows", append(welcome[:len(welcome):len(welcome)], wire.AppendMessage(nil, wire.DataRow, "12")...), "unreachable"},
		{"unknown authentication", wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x63"), "other"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			f.greet.Store(&tc.greet)
			p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 1 })
			for range 2 { // the second time shows that no place was lost
				_, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil)
				got := "other"
				var refused *pool.Refused
				var unreachable *pool.Unreachable
				if errors.As(err, &refused) {
					got = "refused " + refused.Code
					if !strings.HasPrefix(string(refused.Response), "E") || refused.ClientError().Code != refused.Code {
						t.Errorf("response %q", refused.Response)
					}
				} else if errors.As(err, &unreachable) {
					got = "unreachable"
				}
				if err == nil || got != tc.want {
					t.Errorf("got %s (%v), want %s", got, err, tc.want)
				}
				wantStats(t, p, pool.Stats{})
			}
		})
	}
}

func TestUnreachableNode(t *testing.T) {
	f := newFake(t)
	f.l.Close()
	p := newPool(t, nil)
	_, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil)
	var unreachable *pool.Unreachable
	if !errors.As(err, &unreachable) || unreachable.Node != 0 || unreachable.Name != "fake" {
		t.Errorf("got %v", err)
	}
	wantStats(t, p, pool.Stats{})
}

func TestConnectIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := &cluster.Node{ID: 0, Name: "silent", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	p := newPool(t, func(s *pool.Settings) { s.Connect = 20 * time.Millisecond })
	var unreachable *pool.Unreachable
	if _, err := p.Acquire(t.Context(), n, keyA, auth.Credentials{}, nil); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "no answer within 20ms") {
		t.Errorf("got %v", err)
	}
	wantStats(t, p, pool.Stats{})
}

func TestCancelReachesTheServer(t *testing.T) {
	f := newFake(t)
	p := newPool(t, nil)
	s := acquire(t, p, f, keyA)
	if err := s.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-f.cancels; got != [2]uint32{s.PID, s.Secret} {
		t.Errorf("cancelled %v", got)
	}
}

func TestQueryRow(t *testing.T) {
	row := func(values ...string) []byte {
		b := []byte{0, byte(len(values))}
		for _, v := range values {
			if v == "null" {
				b = append(b, 0xff, 0xff, 0xff, 0xff)
			} else {
				b = append(append(b, 0, 0, 0, byte(len(v))), v...)
			}
		}
		return wire.AppendMessage(nil, wire.DataRow, string(b))
	}
	for _, tc := range []struct {
		name  string
		reply []byte
		want  string
		fails bool
	}{
		{"no row", completed, "", false},
		{"row", append(row("a", "null", ""), completed...), "a,null,,", false},
		{"first of two rows", append(append(row("a"), row("b")...), completed...), "a,", false},
		{"error", wire.AppendReady(wire.AppendError(nil, "ERROR", &wire.Error{Code: "42883", Message: "no"}), wire.TxIdle), "", true},
		{"column count missing", append(wire.AppendMessage(nil, wire.DataRow, "\x00"), completed...), "", true},
		{"columns missing", append(wire.AppendMessage(nil, wire.DataRow, "\x00\x05"), completed...), "", true},
		{"column too long", append(wire.AppendMessage(nil, wire.DataRow, "\x00\x01\x00\x00\x00\x09a"), completed...), "", true},
		{"garbage", []byte("HTTP/1.1 400\r\n"), "", true},
		{"end", []byte{}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			p := newPool(t, nil)
			s := acquire(t, p, f, keyA)
			f.reply.Store(&tc.reply)
			row, err := s.QueryRow(t.Context(), "SELECT $1", "x")
			got := ""
			for _, column := range row {
				if column == nil {
					got += "null,"
				} else {
					got += string(column) + ","
				}
			}
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %q, error %v", got, err)
			}
			p.Discard(s)
		})
	}
}

func TestParams(t *testing.T) {
	var none *pool.Params
	a := none.With("x", "1").With("y", "2")
	b := a.With("x", "3")
	list := func(p *pool.Params) (s string) {
		for name, value := range p.All() {
			s += name + "=" + value + " "
		}
		return s
	}
	if list(none) != "" || list(a) != "x=1 y=2 " || list(b) != "x=3 y=2 " {
		t.Errorf("%q %q %q", list(none), list(a), list(b))
	}
	if _, ok := none.Get("x"); ok {
		t.Error("found in nothing")
	}
}
