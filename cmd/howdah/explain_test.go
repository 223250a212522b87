package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each testdata/explain/*.txt holds cases: a statement, ----, what explain
// prints of it, and an empty line. The first line may be "flags: …", for all of them.
func TestExplain(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/explain/*.txt (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var flags []string
			rest := string(text)
			first, after, _ := strings.Cut(rest, "\n\n")
			out := ""
			if words, ok := strings.CutPrefix(first, "flags: "); ok {
				flags, rest, out = strings.Fields(words), after, first+"\n\n"
			}
			for block := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n\n") {
				sql, _, _ := strings.Cut(block, "\n----")
				var got bytes.Buffer
				if err := explain(t.Context(), append(flags, sql), nil, &got); err != nil {
					t.Fatal(err)
				}
				out += sql + "\n----\n" + got.String() + "\n"
			}
			if *update {
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out != string(text) {
				t.Errorf("got\n%s\nwant\n%s", out, text)
			}
		})
	}
}

func TestExplainUsage(t *testing.T) {
	for _, args := range []string{"", "a b", "-jsonl a", "-json -jsonl", "-nothing", "-d x a", "-U x a"} {
		var usage *usageError
		if err := explain(t.Context(), strings.Fields(args), nil, io.Discard); !errors.As(err, &usage) || usage.command != "explain" {
			t.Errorf("%q: got %v, want a usage error", args, err)
		}
	}
}

// A statement on standard input, flags behind it, and JSON.
func TestExplainJSON(t *testing.T) {
	var out bytes.Buffer
	if err := explain(t.Context(), []string{"-", "--json"}, strings.NewReader("SELECT nextval('s')\n"), &out); err != nil {
		t.Fatal(err)
	}
	var got struct{ Route, Access, Rule, Reason string }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Route != "primary" || got.Access != "write" || got.Rule != "write" || !strings.Contains(got.Reason, "nextval") {
		t.Errorf("got %+v", got)
	}
}

// answers runs explain --jsonl and reads what it prints.
func answers(t *testing.T, input io.Reader) (routes []string, err error) {
	t.Helper()
	var out bytes.Buffer
	err = explain(t.Context(), []string{"-jsonl"}, input, &out)
	for line := range strings.Lines(out.String()) {
		var a struct{ Route, Error string }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if a.Error != "" {
			a.Route = "error"
		}
		routes = append(routes, a.Route)
	}
	return routes, err
}

func TestExplainLines(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	lines := []struct{ text, want string }{
		{`{"sql": "SELECT 1"}`, "read"},
		{`{"sql": "INSERT INTO t VALUES (1)", "label": "anything"}`, "primary"},
		{`{"sql": "BEGIN"}`, "howdah"},
		{`{"sql": ""}`, "read"},
		{`{"sql": "SELECT ` + long[:900_000] + `"}`, "read"},
		{`{"sql": "SELECT '` + long + `'"}`, "primary"}, // too long to parse
		{`{"sql": "SELECT 'ü\u00e4\n\u0000'"}`, "primary"},
		{`{"sql": 5}`, "error"},
		{`{"sql": null}`, "error"},
		{`{}`, "error"},
		{``, "error"},
		{`SELECT 1`, "error"},
		{"{\"sql\": \"SELECT '\xff'\"}", "error"},
		{`{"sql": "SELECT 2"} {}`, "error"},
		{`{"sql": "SELECT 3"}`, "read"},
	}
	var input, want []string
	for range 6 { // more than may be under way
		for _, l := range lines {
			input, want = append(input, l.text), append(want, l.want)
		}
	}
	got, err := answers(t, strings.NewReader(strings.Join(input, "\n"))) // the last line has no newline
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "42 of 90 lines") {
		t.Errorf("got error %v", err)
	}
	if got, err := answers(t, strings.NewReader("")); len(got) != 0 || err != nil {
		t.Errorf("nothing to read: got %v, %v", got, err)
	}
}

// A program may ask, wait for the answer, and ask on.
func TestExplainLinesAnswersAtOnce(t *testing.T) {
	in, ask := io.Pipe()
	read, out := io.Pipe()
	done := make(chan error)
	go func() { done <- explain(context.Background(), []string{"-jsonl"}, in, out) }()
	answer := json.NewDecoder(read)
	for range 10 {
		fmt.Fprintln(ask, `{"sql": "SELECT 1"}`)
		var a struct{ Route string }
		if err := answer.Decode(&a); err != nil || a.Route != "read" {
			t.Fatalf("got %+v, %v", a, err)
		}
	}
	ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestExplainReportsIOErrors(t *testing.T) {
	want := errors.New("broken")
	input := strings.NewReader(strings.Repeat("{\"sql\": \"SELECT 1\"}\n", 5000))
	if got := explain(t.Context(), []string{"-jsonl"}, input, brokenWriter{want}); !errors.Is(got, want) {
		t.Errorf("write: got %v", got)
	}
	if got := explain(t.Context(), []string{"-jsonl"}, io.MultiReader(strings.NewReader("{}\n"), brokenReader{want}), io.Discard); !errors.Is(got, want) {
		t.Errorf("read: got %v", got)
	}
	if got := explain(t.Context(), []string{"SELECT 1"}, nil, brokenWriter{want}); !errors.Is(got, want) {
		t.Errorf("one statement: got %v", got)
	}
	if got := explain(t.Context(), []string{"-"}, brokenReader{want}, io.Discard); !errors.Is(got, want) {
		t.Errorf("standard input: got %v", got)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }
