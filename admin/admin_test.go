package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/admin/admintest"
	"github.com/howdah/howdah/wire"
)

func TestParseUsers(t *testing.T) {
	const hash = "5ebe2294ecd0e0f08eab7690d2a6ee69" // of secret
	for text, want := range map[string]string{
		"":                                    "",
		"# nobody\n\n":                        "",
		"a:" + hash + "\r\n":                  "",
		"a:" + strings.ToUpper(hash):          "",
		"a":                                   "line 1: write user:md5",
		":" + hash:                            "line 1: write user:md5",
		" a:" + hash:                          "line 1: write user:md5",
		"a:" + hash + "\nb:secret":            `line 2: user "b": the hash is not 32 hexadecimal digits; pg_md5 prints it`,
		strings.Repeat("a", 129) + ":" + hash: "line 1: write user:md5",
		"a:" + hash[1:]:                       `line 1: user "a": the hash is not 32 hexadecimal digits; pg_md5 prints it`,
	} {
		_, err := admin.ParseUsers(text)
		if got := errText(err); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	u, err := admin.ParseUsers("a:" + hash + "\na:098f6bcd4621d373cade4e832627b4f6\n") // and test
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, password string
		want           bool
	}{{"a", "secret", true}, {"a", "test", true}, {"a", "tests", false}, {"a", "", false}, {"b", "secret", false}, {"", "", false}} {
		if got := u.Password(tt.user, tt.password); got != tt.want {
			t.Errorf("%s %s: %v", tt.user, tt.password, got)
		}
	}
	if u.Challenge("b", "", [4]byte{}) || u.Challenge("a", strings.Repeat("0", 32), [4]byte{}) {
		t.Error("a wrong answer to a challenge is good")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzParseUsers: no text makes a user without a password.
func FuzzParseUsers(f *testing.F) {
	f.Add("a:5ebe2294ecd0e0f08eab7690d2a6ee69")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := admin.ParseUsers(text)
		if err == nil && u.Challenge("a", "", [4]byte{}) {
			t.Error("an empty answer is good")
		}
	})
}

// Who may do what, and what is missing says so.
func TestRun(t *testing.T) {
	_, a := admintest.New()
	for _, tt := range []struct {
		role    admin.Role
		command string
		args    string
		want    string // of the error
	}{
		{admin.RoleReader, "status", "", ""},
		{admin.RoleReader, "nodes", "", ""},
		{admin.RoleReader, "sessions", "", ""},
		{admin.RoleReader, "pools", "", ""},
		{admin.RoleReader, "checks", "", ""},
		{admin.RoleReader, "decisions", "", ""},
		{admin.RoleReader, "pool-users", "", ""},
		{admin.RoleReader, "waiters", "", ""},
		{admin.RoleReader, "pins", "", ""},
		{admin.RoleReader, "examples", "", ""},
		{admin.RoleReader, "latency", "", ""},
		{admin.RoleReader, "caches", "", ""},
		{admin.RoleReader, "counters", "", ""},
		{admin.RoleReader, "failover", "", ""},
		{admin.RoleReader, "commands", "", ""},
		{admin.RoleReader, "pause", "", "pause needs the right"},
		{admin.RoleAdmin, "pause", "", "pause is not available: "},
		{admin.RoleAdmin, "detach", "1 slowly", `"slowly" is not understood`},
		{admin.RoleAdmin, "switchover", "cut", "switchover is not available: "},
		{admin.RoleAdmin, "switchover", "1 2", `"2" is not understood`},
		{admin.RoleNone, "nodes", "", "nodes needs the right"},
		{admin.RoleReader, "reload", "", "reload needs the right"},
		{admin.RoleAdmin, "reload", "", ""},
		{admin.RoleAdmin, "kill", "7", ""},
		{admin.RoleAdmin, "kill", "8", "there is no session 8"},
		{admin.RoleAdmin, "kill", "x", `"x" is no session's number`},
		{admin.RoleAdmin, "kill", "", "kill takes these arguments: SESSION"},
		{admin.RoleAdmin, "log-level", "loud", `"loud" is no level`},
		{admin.RoleAdmin, "log-level", "debug", ""},
		{admin.RoleAdmin, "stop", "slowly", `"slowly" is no way to stop`},
		{admin.RoleAdmin, "stop", "", ""},
		{admin.RoleAdmin, "attach", "pg1", "attach is not available: "},
		{admin.RoleAdmin, "attach", "pg9", `there is no node "pg9"`},
		{admin.RoleAdmin, "detach", "1 gracefully", "detach is not available: "},
		{admin.RoleAdmin, "promote", "0", "already primary"},
		{admin.RoleAdmin, "switchover", "1", "switchover is not available: "},
		{admin.RoleAdmin, "recover", "1", "recover is not available: "},
		{admin.RoleAdmin, "watchdog", "", "watchdog is not available: "},
		{admin.RoleAdmin, "dance", "", `there is no command "dance"`},
	} {
		table, err := a.Run(context.Background(), admin.Caller{Door: "test", Role: tt.role}, tt.command, strings.Fields(tt.args))
		if got := errText(err); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: got %q, want %q", tt.command, tt.args, got, tt.want)
		}
		if err == nil && (table == nil || len(table.Rows) == 0 || len(table.Rows[0]) != len(table.Columns)) {
			t.Errorf("%s: answers %+v", tt.command, table)
		}
	}
}

func TestTable(t *testing.T) {
	table := admin.Table{Columns: []string{"name", "n"}, Rows: [][]any{{"a", int64(5)}, {"long name", int64(1000)}}}
	const want = "name          n\na             5\nlong name  1000\n"
	if got := table.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuantile(t *testing.T) {
	h := admin.Histogram{Bounds: []time.Duration{1, 2, 3}, Buckets: []uint64{5, 4, 0, 1}}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 1, 0.51: 2, 0.9: 2, 0.91: 3, 1: 3} {
		if got := h.Quantile(q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
	if got := (&admin.Histogram{Bounds: h.Bounds, Buckets: make([]uint64, 4)}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// What cannot be asked has PostgreSQL's codes.
func TestAskRefuses(t *testing.T) {
	_, a := admintest.New()
	for text, code := range map[string]string{"SHOW": "42601", "SHOW pool_party": "42601", "SHOW howdah.stop": "42704", "PGPOOL SHOW": "42601",
		"PGPOOL SET x": "42601", "PGPOOL SHOW a b": "42601", "PGPOOL RESET nothing": "42704"} {
		_, err := a.Ask(context.Background(), admin.Question{}, text)
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: got %v, want %s", text, err, code)
		}
	}
}
