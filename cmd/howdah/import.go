package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/howdah/howdah/admin/migrate"
	"github.com/howdah/howdah/configs"
)

// maxImported is the longest file that import reads.
const maxImported = 64 << 20

// runImport writes the configuration that does what a pgpool.conf or pgbouncer.ini says, and reports on standard
// error what became of every setting. What it writes has been checked as howdah check does it.
func runImport(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("import")
	files := migrate.Files{Open: readImported}
	flags.StringVar(&files.HBA, "hba", "", "")
	flags.StringVar(&files.Passwd, "passwd", "", "")
	flags.StringVar(&files.PCP, "pcp", "", "")
	flags.StringVar(&files.Key, "key", "", "")
	out := flags.String("o", "", "")
	paths, err := parseMixed(flags, args)
	if err != nil {
		return err
	}
	if len(paths) != 1 {
		return &usageError{"import", "the path of one pgpool.conf or pgbouncer.ini is needed"}
	}
	// What is named relative to this directory must be found from anywhere.
	if files.Conf, err = filepath.Abs(paths[0]); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	for _, p := range []*string{&files.HBA, &files.Passwd, &files.PCP, &files.Key} {
		if *p != "" {
			if *p, err = filepath.Abs(*p); err != nil {
				return fmt.Errorf("import: %w", err)
			}
		}
	}
	if files.Key == "" {
		files.Key = usualKey()
	}
	from := migrate.Import
	if conf, err := readImported(files.Conf); err == nil {
		switch {
		case migrate.IsPgBouncer(conf):
			from = migrate.ImportPgBouncer
		case migrate.IsBitnami(conf):
			from = migrate.ImportBitnami
		}
	}
	result, err := from(files)
	if err != nil {
		return err
	}
	fmt.Fprint(stderr, result.Report)
	if err := writeImported(*out, result.YAML, stdout); err != nil {
		return err
	}
	name := *out
	if name == "" {
		name = "(standard output)"
	}
	cfg, err := configs.Parse(name, result.YAML)
	if err == nil {
		_, err = checkFiles(name, cfg)
	}
	if err != nil {
		return err
	}
	if result.Report.Refused() {
		return errors.New("import: some settings were not taken over, see above")
	}
	return nil
}

// usualKey is where Pgpool-II looks for the key of AES passwords; empty if there is none.
func usualKey() string {
	path := os.Getenv("PGPOOLKEYFILE")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		path = filepath.Join(home, ".pgpoolkey")
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// writeImported writes to path, or to stdout without one. The file may hold a password.
func writeImported(path string, data []byte, stdout io.Writer) error {
	if path == "" {
		_, err := stdout.Write(data)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func readImported(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxImported {
		return nil, fmt.Errorf("%s is no file of settings", name)
	}
	return os.ReadFile(name)
}
