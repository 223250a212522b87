package auth_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/auth"
)

var update = flag.Bool("update", false, "rewrite the expected parts of the case files")

func TestHBACases(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/hba/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runHBAFile(t, string(text))
			if got == string(text) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s", firstDifference(got, string(text)))
		})
	}
}

// runHBAFile returns the file with every expected part made anew.
func runHBAFile(t *testing.T, text string) string {
	intro, rest, ok := strings.Cut(text, "\n\n")
	if !ok {
		t.Fatal("no introduction")
	}
	out := intro + "\n\n"
	for rest != "" {
		block, after, ok := strings.Cut(rest, "====\n")
		if !ok {
			t.Fatalf("case does not end with ====: %s", rest)
		}
		rest = after
		input, _, ok1 := strings.Cut(block, "----\n")
		name, body, _ := strings.Cut(input, "\n")
		hba, queries, ok2 := strings.Cut(body, "--\n")
		if !ok1 || !ok2 {
			t.Fatalf("case %q lacks -- or ----", name)
		}
		out += input + "----\n" + runHBACase(t, hba, queries) + "====\n"
	}
	return out
}

func runHBACase(t *testing.T, text, queries string) string {
	var out strings.Builder
	hba, err := auth.ParseHBA("testdata/hba/pg_hba.conf", strings.NewReader(text))
	if err != nil {
		if _, ok := errors.AsType[auth.Faults](err); !ok {
			t.Errorf("not Faults: %v", err)
		}
		return strings.ReplaceAll(err.Error(), "testdata/hba/", "") + "\n"
	}
	for query := range strings.Lines(queries) {
		c := connInfo(t, strings.TrimSuffix(query, "\n"))
		r, err := hba.Check(c)
		_, matched, _ := hba.Match(c)
		switch e, isError := errors.AsType[*auth.Error](err); {
		case err == nil && matched:
			fmt.Fprintf(&out, "%s\n", strings.TrimPrefix(r.String(), "testdata/hba/"))
		case isError:
			fmt.Fprintf(&out, "FATAL %s: %s\n", e.Code, e.Message)
		default:
			t.Errorf("%s: Check says %v, Match says %v", query, err, matched)
		}
	}
	return out.String()
}

// connInfo reads "address[+ssl] user database [replication]"; _ stands for a space in names.
func connInfo(t *testing.T, query string) auth.ConnInfo {
	f := strings.Fields(query)
	if len(f) < 3 {
		t.Fatalf("bad connection %q", query)
	}
	c := auth.ConnInfo{User: strings.ReplaceAll(f[1], "_", " "), Database: f[2], Replication: len(f) > 3 && f[3] == "replication"}
	c.Interfaces = func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.MustParsePrefix("10.5.0.1/24"), netip.MustParsePrefix("fd00::1/64")}, nil
	}
	c.Member = func(role string) (bool, error) {
		if role == "unknown" {
			return false, errors.New("no server answers")
		}
		return role == c.User || role == "admins" && (c.User == "alice" || c.User == "bob"), nil
	}
	f[0], c.TLS = strings.CutSuffix(f[0], "+ssl")
	if f[0] == "local" {
		c.Local = true
	} else {
		c.Addr = netip.MustParseAddr(f[0])
	}
	return c
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return "the file goes on after what was expected"
}

func TestParseHBALines(t *testing.T) {
	t.Parallel()
	h, err := auth.ParseHBALines([]string{"host all all 127.0.0.1/32 trust", "# nothing", "local all all md5"})
	if err != nil {
		t.Fatal(err)
	}
	r, ok, _ := h.Match(auth.ConnInfo{Local: true, User: "u", Database: "d"})
	if got, want := r.String(), "auth.hba:3 md5"; !ok || got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, err = auth.ParseHBALines([]string{"local all all md5\nlocal all all trust", "x"})
	faults, _ := errors.AsType[auth.Faults](err)
	if len(faults) != 2 || faults[0].Line != 1 || faults[1].Line != 2 {
		t.Errorf("got faults %v", err)
	}
}

// A rule that cannot be judged must not be stepped over: what follows might let
// in whom it rejects.
func TestSameNetFailsClosed(t *testing.T) {
	t.Parallel()
	h, err := auth.ParseHBALines([]string{"host all all samenet reject", "host all all all trust"})
	if err != nil {
		t.Fatal(err)
	}
	c := auth.ConnInfo{User: "u", Database: "d", Addr: netip.MustParseAddr("192.0.2.1")}
	c.Interfaces = func() ([]netip.Prefix, error) { return nil, errors.New("no netlink") }
	if r, err := h.Check(c); err == nil {
		t.Errorf("let in by %s", r)
	}
	c.Interfaces, c.Addr = nil, netip.MustParseAddr("127.0.0.1") // this host itself
	if r, err := h.Check(c); err == nil {
		t.Errorf("loopback is in a network of this host, but let in by %s", r)
	}
}

func TestHBALimits(t *testing.T) {
	t.Parallel()
	if _, err := auth.ParseHBA("f", strings.NewReader(strings.Repeat("#", 2<<20))); err == nil {
		t.Error("2 MB file accepted")
	}
	_, err := auth.ParseHBA("f", strings.NewReader(strings.Repeat("x\n", 5000)))
	if faults, _ := errors.AsType[auth.Faults](err); len(faults) != 100 {
		t.Errorf("got %d faults, want the first 100", len(faults))
	}
	_, err = auth.ParseHBA("f", strings.NewReader(strings.Repeat("local all all trust\n", 10_001)))
	if faults, _ := errors.AsType[auth.Faults](err); len(faults) != 1 {
		t.Errorf("10,001 rules: got %v", err)
	}
}

func FuzzParseHBA(f *testing.F) {
	for _, file := range []string{"testdata/hba/matching.txt", "testdata/hba/faults.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "====\n") {
			f.Add([]byte(block))
		}
	}
	f.Add([]byte("local all all trust\\\n\\\n\"\n,,\"\"\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := auth.ParseHBA("f", bytes.NewReader(text))
		if (h == nil) == (err == nil) {
			t.Fatalf("got both or neither of %v and %v", h, err)
		}
		if err != nil {
			return
		}
		c := auth.ConnInfo{User: "u", Database: "d", Addr: netip.MustParseAddr("10.0.0.1"), Interfaces: func() ([]netip.Prefix, error) { return nil, nil }}
		if r, ok, _ := h.Match(c); ok && r.File == "f" && (r.Line < 1 || r.Line > 1+bytes.Count(text, []byte("\n"))) {
			t.Errorf("rule on line %d", r.Line)
		}
	})
}
