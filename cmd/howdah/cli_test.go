package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata; review the diff line by line")

// Each testdata/*.txt holds cases: a command line, ----, what it prints and how
// it exits, and an empty line.
func TestCommandLine(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/*.txt (%v)", err)
	}
	// A checkout has the mode that the umask says, and the answer depends on it.
	if err := os.Chmod("testdata/users.list", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "#") {
					got.WriteString(line)
				} else if args, ok := strings.CutPrefix(line, "$ howdah"); ok {
					got.WriteString(line + "----\n" + output(strings.Fields(args)) + "\n")
				}
			}
			if strings.Contains(got.String(), "hush") {
				t.Errorf("a secret is printed:\n%s", got.String())
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != string(text) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), text)
			}
		})
	}
}

// output is what a command line prints, each line with the stream it went to,
// and its exit code.
func output(args []string) string {
	var stdout, stderr, all strings.Builder
	code := exitCode(run(context.Background(), args, &stdout, &stderr), &stderr)
	for line := range strings.Lines(stdout.String()) {
		all.WriteString("out: " + line)
	}
	for line := range strings.Lines(stderr.String()) {
		all.WriteString("err: " + line)
	}
	fmt.Fprintf(&all, "exit: %d\n", code)
	return all.String()
}

func TestVersionLine(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"},
	}}
	info.Main.Version = "(devel)"
	released := &debug.BuildInfo{GoVersion: "go1.26.8"}
	released.Main.Version = "v0.2.0"
	tests := []struct {
		name, linked string
		info         *debug.BuildInfo
		want         string
	}{
		{"linked", "v0.1.0", released, "howdah v0.1.0 (go1.26.8)"},
		{"built from a checkout", "", info, "howdah unreleased (0123456789ab+changes, go1.26.8)"},
		{"installed by go install", "", released, "howdah v0.2.0 (go1.26.8)"},
		{"without build information", "", nil, "howdah unreleased (go unknown)"},
	}
	for _, tt := range tests {
		if got := versionLine(tt.linked, tt.info); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestVersionCommand(t *testing.T) {
	var stdout strings.Builder
	if err := run(context.Background(), []string{"version"}, &stdout, nil); err != nil {
		t.Fatal(err)
	}
	if got := stdout.String(); !strings.HasPrefix(got, "howdah ") || !strings.Contains(got, "go1.") {
		t.Errorf("got %q", got)
	}
}

// A full disk or a closed pipe must not look like success.
func TestCheckReportsWriteError(t *testing.T) {
	want := errors.New("no space left")
	for _, args := range [][]string{{"check", "-c", "testdata/ok.yml"}, {"check", "-c", "testdata/ok.yml", "--show"}, {"version"}} {
		if got := run(context.Background(), args, brokenWriter{want}, nil); !errors.Is(got, want) {
			t.Errorf("%v: got %v, want %v", args, got, want)
		}
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
