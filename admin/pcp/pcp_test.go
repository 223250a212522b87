package pcp_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/admin/admintest"
	"github.com/howdah/howdah/admin/pcp"
)

// start serves PCP on a loopback port.
func start(t testing.TB, a *admin.Admin) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &pcp.Server{Admin: a, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return l.Addr().String()
}

// message is a PCP message.
func message(typ byte, payload string) []byte {
	n := len(payload) + 4
	return append([]byte{typ, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, payload...)
}

// login connects and proves to be the user.
func login(t testing.TB, address, user, password string) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	c.Write(message('M', ""))
	var salt [9]byte
	if _, err := io.ReadFull(c, salt[:]); err != nil {
		t.Fatal(err)
	}
	hex := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	c.Write(message('R', user+"\x00"+hex(hex(hex(password)+user)+string(salt[5:]))+"\x00"))
	return c, read(t, c)
}

// read reads one message.
func read(t testing.TB, c net.Conn) string {
	t.Helper()
	var header [5]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, int(header[3])<<8+int(header[4])-4)
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	return string(header[0]) + string(payload)
}

func TestReplies(t *testing.T) {
	s, a := admintest.New()
	address := start(t, a)
	c, welcome := login(t, address, "admin", "secret")
	if welcome != "rAuthenticationOK\x00" {
		t.Fatalf("login: %q", welcome)
	}
	ask := func(typ byte, payload string, count int) []string {
		t.Helper()
		c.Write(message(typ, payload))
		var all []string
		for range count {
			all = append(all, strings.ReplaceAll(read(t, c), "\x00", "|"))
		}
		return all
	}
	weight := fmt.Sprintf("%f", 0.75*(1<<31-1))
	for _, tt := range []struct {
		version string
		typ     byte
		payload string
		want    []string
	}{
		{"4.3", 'L', "", []string{"lCommandComplete|3|"}},
		{"4.3", 'I', "1\x00", []string{"iArraySize|1|", "iNodeInfo|10.0.0.2|5432|2|0|up|" + weight + "|3|standby|100|||", "iCommandComplete|"}},
		{"4.7", 'I', "1\x00", []string{"iArraySize|1|", "iNodeInfo|10.0.0.2|5432|2|0|up|" + weight + "|3|standby|0|100|||", "iCommandComplete|"}},
		{"4.3", 'I', "3\x00", []string{"ESERROR|CXX000|Minforming node info failed|Dinvalid node ID|Fpcp|L0||"}},
		{"4.3", 'I', "-2\x00", []string{"ESERROR|CXX000|Minforming node info failed|Dinvalid node ID|Fpcp|L0||"}},
		{"4.3", 'N', "", []string{"nCommandComplete|2|7|"}},
		{"4.3", 'P', "7\x00", []string{"pArraySize|2|", "pProcessInfo|7|2026-01-02 03:04:05|1|0|0|shop|alice|", "pProcessInfo|7|", "pCommandComplete|"}},
		{"4.3", 'P', "99\x00", []string{"ESERROR|CXX000|Minforming process info failed|Dinvalid process ID|"}},
		{"4.3", 'W', "-1\x00", []string{"ESERROR|CXX000|Minforming watchdog info failed|Dwatchdog is not enabled|"}},
		{"4.3", 'J', "1 \x00n", []string{"ESERROR|CXX000|Mcould not process promote request|Dpromote is not available"}},
		{"4.3", 'J', "0 \x00s", []string{"ESERROR|CXX000|Mcould not process promote request|Dspecified node is already primary node|"}},
		{"4.3", 'Z', "l", []string{"zCommandComplete|"}},
		{"4.3", 'V', "l", []string{"vCommandComplete|"}},
		{"4.3", 'G', "", []string{"ESERROR|CXX000|Mcould not process invalidate query cache request|Dquery cache is not enabled|"}},
		{"4.3", 'A', "client_min_messages\x00notice\x00", []string{"aCommandComplete|"}},
		{"4.3", 'A', "log_min_messages\x00debug1\x00", []string{"aCommandComplete|"}},
		{"4.3", 'A', "log_min_messages\x00loud\x00", []string{"ESERROR|CXX000|Mcould not process set parameter request|D"}},
		{"4.3", 'T', "f", []string{"tCommandComplete|"}},
	} {
		s.Settings.Admin.PgpoolVersion = tt.version
		for i, got := range ask(tt.typ, tt.payload, len(tt.want)) {
			if !strings.HasPrefix(got, tt.want[i]) {
				t.Errorf("%s %c %q: got %q, want %q", tt.version, tt.typ, tt.payload, got, tt.want[i])
			}
		}
	}
}

// The watchdog's JSON has every key that the clients demand.
func TestWatchdog(t *testing.T) {
	_, a := admintest.New()
	a.Actions.Watchdog = func() (admin.Watchdog, error) {
		return admin.Watchdog{Quorum: 1, Alive: 2, Leader: "a", Holds: true, Members: []admin.WatchdogMember{
			{ID: 0, Name: "a", Host: "ha", Port: 9999, WDPort: 9000, State: 4, StateTxt: "LEADER", Address: "10.0.0.100", Priority: 1},
			{ID: 1, Name: "b", Host: "hb", Port: 9999, WDPort: 9000, State: 7, StateTxt: "STANDBY", Priority: 1}}}, nil
	}
	c, _ := login(t, start(t, a), "admin", "secret")
	c.Write(message('W', "-1\x00"))
	got := read(t, c)
	for _, want := range []string{`"RemoteNodeCount":1`, `"QuorumStatus":1`, `"AliveNodeCount":1`, `"NodeCount":2`, `"Escalated":1`, `"LeaderNodeName":"a"`,
		`"LeaderHostName":"ha"`, `"ID":0`, `"State":4`, `"StateName":"LEADER"`, `"NodeName":"a"`, `"HostName":"ha"`, `"DelegateIP":"10.0.0.100"`,
		`"WdPort":9000`, `"PgpoolPort":9999`, `"Priority":1`, `"LifecheckStarted":1`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// Without a login nothing is answered, and wrong passwords are tried so often only.
func TestLogins(t *testing.T) {
	_, a := admintest.New()
	address := start(t, a)
	for _, first := range []string{"L", "R"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(message(first[0], ""))
		if got := read(t, c); !strings.HasPrefix(got, "ESFATAL\x00CXX000\x00Mauthentication failed for new PCP connection") {
			t.Errorf("%s without login: %q", first, got)
		}
		if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
			t.Errorf("the connection goes on: %v %q", err, rest)
		}
	}
	for i := range 12 {
		_, got := login(t, address, "admin", "guess")
		if limited := strings.Contains(got, "too many failed logins"); limited != (i >= 10) {
			t.Errorf("try %d: %q", i, got)
		}
	}
	if _, got := login(t, address, "admin", "secret"); !strings.Contains(got, "too many failed logins") {
		t.Errorf("the right password is still looked at: %q", got)
	}
}

// A reader may look and not change.
func TestReader(t *testing.T) {
	_, a := admintest.New()
	c, _ := login(t, start(t, a), "viewer", "secret")
	c.Write(message('T', "f"))
	if got := read(t, c); !strings.Contains(got, "stop needs the right to change things") {
		t.Errorf("got %q", got)
	}
	c.Write(message('L', ""))
	if got := read(t, c); got != "lCommandComplete\x003\x00" {
		t.Errorf("got %q", got)
	}
}

// Whatever a client sends, before its login and after, the server answers it, or ends the
// connection, and serves the next one.
func FuzzServer(f *testing.F) {
	f.Add(message('M', ""), false)
	f.Add(message('L', ""), true)
	f.Add(append(message('I', "-1\x00"), message('X', "")...), true)
	f.Add([]byte{'I', 0xff, 0xff, 0xff, 0xff}, true)
	f.Add([]byte{'I', 0, 0, 0, 3}, true)
	f.Add(message('J', "1 \x00n"), true)
	f.Add(message('P', strings.Repeat("9", 200)), true)
	f.Add(message('A', "\x00\x00"), true)
	_, a := admintest.New()
	address := start(f, a)
	f.Fuzz(func(t *testing.T, data []byte, loggedIn bool) {
		var c net.Conn
		if loggedIn {
			c, _ = login(t, address, "admin", "secret")
		} else {
			var err error
			if c, err = net.Dial("tcp", address); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
		}
		go func() { // the server may answer before it has read all
			c.Write(data)
			c.(*net.TCPConn).CloseWrite()
		}()
		answer, err := io.ReadAll(c)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		for len(answer) > 0 { // nothing but whole messages
			if len(answer) < 5 {
				t.Fatalf("the answer ends with %q", answer)
			}
			n := int(answer[1])<<24 + int(answer[2])<<16 + int(answer[3])<<8 + int(answer[4]) + 1
			if n > len(answer) {
				if err == nil {
					t.Fatalf("the answer ends with %q", answer)
				}
				return
			}
			answer = answer[n:]
		}
		c, welcome := login(t, address, "admin", "secret")
		if !bytes.HasPrefix([]byte(welcome), []byte("r")) {
			t.Fatalf("the next client gets %q", welcome)
		}
		c.Close()
	})
}
