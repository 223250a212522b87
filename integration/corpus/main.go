package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/howdah/howdah/integration/pgcluster"
)

// testdata are the scripts of our own.
//
//go:embed testdata/*.sql
var testdata embed.FS

type options struct {
	suite, out, only string
	examples         int
}

func main() {
	var o options
	flag.StringVar(&o.suite, "suite", "", "PostgreSQL's unpacked `source`; empty is our own scripts")
	flag.StringVar(&o.out, "out", "", "`file` for the labels, one JSON object a line")
	flag.StringVar(&o.only, "only", "", "run only scripts whose name matches the `regexp`")
	flag.IntVar(&o.examples, "examples", 3, "examples of each reason in the report")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := command(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

// command is the whole program: the report goes to out, progress to progress.
func command(ctx context.Context, o options, out, progress io.Writer) (err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("read -only: %w", err)
	}
	dir, err := os.MkdirTemp("", "howdah-corpus-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	home, err := os.MkdirTemp("", "howdah-pg-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	var scripts []script
	var env []string
	if o.suite == "" {
		scripts, err = ownScripts(dir)
	} else {
		scripts, env, err = suiteScripts(o.suite)
	}
	if err != nil {
		return err
	}
	chosen := scripts[:0]
	for _, s := range scripts {
		if only.MatchString(s.name) || strings.HasSuffix(s.name, "/test_setup") || strings.HasSuffix(s.name, "/00_fixture") {
			chosen = append(chosen, s)
		}
	}
	cluster, err := pgcluster.New(home, clusterOptions())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := cluster.Start(ctx); err != nil {
		return err
	}
	f, err := run(ctx, cluster, chosen, env, func(line string) { fmt.Fprintln(progress, line) })
	if err != nil {
		return err
	}
	judge(f.labels, f.builtin).print(out, f.counts, o.examples)
	if o.out == "" {
		return nil
	}
	return writeLabels(o.out, f.labels)
}

// ownScripts writes the embedded scripts to dir, for psql to read.
func ownScripts(dir string) ([]script, error) {
	entries, err := fs.ReadDir(testdata, "testdata")
	if err != nil {
		return nil, fmt.Errorf("list testdata: %w", err)
	}
	var scripts []script
	for _, entry := range entries { // sorted by name
		text, err := testdata.ReadFile("testdata/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		file := filepath.Join(dir, entry.Name())
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", file, err)
		}
		scripts = append(scripts, script{name: "own/" + strings.TrimSuffix(entry.Name(), ".sql"), path: file, dir: dir, database: "corpus"})
	}
	return scripts, nil
}

func writeLabels(file string, labels []label) error {
	var b strings.Builder
	encode := json.NewEncoder(&b)
	encode.SetEscapeHTML(false)
	for i := range labels {
		if err := encode.Encode(&labels[i]); err != nil {
			return fmt.Errorf("encode label: %w", err)
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write labels: %w", err)
	}
	return nil
}
