package main

import (
	"bytes"
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
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// testdata are the scripts of our own.
//
//go:embed testdata/*.sql
var testdata embed.FS

type options struct {
	suite, out, only, judge, howdah string
	examples                        int
}

func main() {
	var o options
	flag.StringVar(&o.suite, "suite", "", "PostgreSQL's unpacked `source`; empty is our own scripts")
	flag.StringVar(&o.out, "out", "", "`file` for the labels, one JSON object a line")
	flag.StringVar(&o.judge, "judge", "", "judge the labels of this `file`, made by -out, and run nothing")
	flag.StringVar(&o.howdah, "howdah", "", "`binary` of a howdah that judges each statement too, knowing what its names mean")
	flag.StringVar(&o.only, "only", "", "run only scripts whose name matches the `regexp`")
	flag.IntVar(&o.examples, "examples", 3, "examples of each reason in the report")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	run := command
	if o.judge != "" {
		run = rejudge
	}
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
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
	address, stop, err := startHowdah(o.howdah, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	save, err := newSaver(o.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, save.close()) }()
	f, err := run(ctx, cluster, address, chosen, env, func(s script, took time.Duration, labels []label) error {
		fmt.Fprintf(progress, "%s: %v\n", s.name, took.Round(time.Millisecond))
		return save.add(labels)
	})
	if err != nil {
		return err
	}
	printReport(out, f.labels, f.counts, o.examples)
	return nil
}

// startHowdah starts the howdah in bin in front of the cluster; an empty bin is none.
func startHowdah(bin string, cluster *pgcluster.Cluster) (address string, stop func() error, err error) {
	if bin == "" {
		return "", func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "howdah-corpus-")
	if err != nil {
		return "", nil, fmt.Errorf("make directory: %w", err)
	}
	port, err := pgcluster.FreePort()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	s, err := howdahtest.Launch(bin, dir, port, howdahOptions(cluster))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s.Address(), func() error { return errors.Join(s.Stop(), os.RemoveAll(dir)) }, nil
}

// howdahOptions is a howdah that reads from the standby whatever it may.
func howdahOptions(cluster *pgcluster.Cluster) howdahtest.Options {
	return howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}}
}

// rejudge reports on labels that were made before.
func rejudge(_ context.Context, o options, out, _ io.Writer) error {
	text, err := os.ReadFile(o.judge)
	if err != nil {
		return fmt.Errorf("read labels: %w", err)
	}
	var labels []label
	decode := json.NewDecoder(bytes.NewReader(text))
	for decode.More() {
		var l label
		if err := decode.Decode(&l); err != nil {
			return fmt.Errorf("read labels: %w", err)
		}
		labels = append(labels, l)
	}
	printReport(out, labels, counts{}, o.examples)
	return nil
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

// saver writes labels as they come.
type saver struct {
	file *os.File
	json *json.Encoder
}

// newSaver makes the file; without a name nothing is saved.
func newSaver(name string) (*saver, error) {
	if name == "" {
		return &saver{}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("make file of labels: %w", err)
	}
	s := &saver{file: f, json: json.NewEncoder(f)}
	s.json.SetEscapeHTML(false)
	return s, nil
}

func (s *saver) add(labels []label) error {
	if s.file == nil {
		return nil
	}
	for i := range labels {
		if err := s.json.Encode(&labels[i]); err != nil {
			return fmt.Errorf("write label: %w", err)
		}
	}
	return nil
}

func (s *saver) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
