package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser/catalog"
)

// script answers the queries that have a text in them; all others have no rows.
type script map[string][][]string

func (s script) Query(_ context.Context, sql string) ([][]string, error) {
	for part, rows := range s {
		if strings.Contains(sql, part) {
			if len(rows) == 1 && len(rows[0]) == 1 && rows[0][0] == "error" {
				return nil, errRefused
			}
			return rows, nil
		}
	}
	return nil, nil
}

var errRefused = errors.New("refused")

var (
	fingerprint = [][]string{{"150000", "f1"}}
	oneFunction = [][]string{{"20000", "app", "f", "f", "sql", "s", "3", "1", "t", "23 25", "t", "app, public", "", "SELECT 1", "f", "30 31", "t", "SELECT 1", "t"}}
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		script  script
		known   string
		room    int64
		want    string // of the error
		nothing bool
	}{
		{"everything", script{"server_version_num": fingerprint, "FROM pg_proc p\n": oneFunction}, "", 1 << 20, "", false},
		{"nothing new", script{"server_version_num": fingerprint, "FROM pg_proc p\n": oneFunction}, "150000 f1", 1 << 20, "", true},
		{"too much", script{"server_version_num": fingerprint, "FROM pg_proc p\n": oneFunction}, "", 300, "larger", false},
		{"refused", script{"server_version_num": {{"error"}}}, "", 1 << 20, "refused", false},
		{"another server's answer", script{"server_version_num": fingerprint, "FROM pg_proc p\n": {{"1"}}}, "", 1 << 20, "columns", false},
		{"no number", script{"server_version_num": {{"fifteen", ""}}}, "", 1 << 20, "number", false},
	} {
		f, err := catalog.Load(t.Context(), c.script, c.known, c.room)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got error %v, want %q", c.name, err, c.want)
		case err == nil && (f == nil) != c.nothing:
			t.Errorf("%s: got %+v", c.name, f)
		case c.want == "larger" && (!errors.Is(err, catalog.ErrTooLarge) || f.Fingerprint != "150000 f1"):
			t.Errorf("%s: got %+v, %v", c.name, f, err)
		case err == nil && f != nil:
			fn := f.Functions[0]
			if fn.Schema != "app" || fn.Args != 3 || !fn.Variadic || !fn.OfRow || fn.SearchPath != "app, public" || len(fn.Parts) != 2 || !fn.MakesTemp || !fn.ForAll || fn.DefaultValues == "" || f.Bytes == 0 {
				t.Errorf("%s: got %+v, %d bytes", c.name, fn, f.Bytes)
			}
		}
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	plain := catalog.UserFunction{Args: 3, Defaults: 1}
	variadic := catalog.UserFunction{Args: 2, Variadic: true}
	for _, c := range []struct {
		f    *catalog.UserFunction
		args int
		want bool
	}{
		{&plain, 1, false}, {&plain, 2, true}, {&plain, 3, true}, {&plain, 4, false}, {&plain, -1, true},
		{&variadic, 0, false}, {&variadic, 1, true}, {&variadic, 2, true}, {&variadic, 9, true},
	} {
		if got := c.f.Takes(c.args); got != c.want {
			t.Errorf("%+v with %d arguments: got %v", *c.f, c.args, got)
		}
	}
}
